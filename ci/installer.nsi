; A small installer with Leeward's own hooks, to run them where Tauri's installer cannot be made (xtask/src/windows.rs).
; -DLEEWARD=… names the program.

Target amd64-unicode
Name "Leeward's hooks"
OutFile "${OUT}"
RequestExecutionLevel user
InstallDir "$LOCALAPPDATA\Leeward's hooks"
!include "${ROOT}/src-tauri/windows/installer.nsh"

Section
  !insertmacro NSIS_HOOK_PREINSTALL
  SetOutPath "$INSTDIR"
  File "/oname=leeward.exe" "${LEEWARD}"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  !insertmacro NSIS_HOOK_POSTINSTALL
SectionEnd

Section Uninstall
  !insertmacro NSIS_HOOK_PREUNINSTALL
  Delete "$INSTDIR\leeward.exe"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
SectionEnd
