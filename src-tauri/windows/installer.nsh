; What the Windows installer does beyond Tauri's own script.

!include WinMessages.nsh

; Puts `leeward` on the user's PATH and takes it off again. The program itself does it: NSIS cuts values that are too long
; for it, and a PATH may be.
!macro LEEWARD_PATH CHANGE
  nsExec::Exec '"$INSTDIR\leeward.exe" path ${CHANGE}'
  Pop $0
  ; Programs that are started from now on see it.
  SendMessage ${HWND_BROADCAST} ${WM_SETTINGCHANGE} 0 "STR:Environment" /TIMEOUT=2000
!macroend

; A `wrap` or `serve` that runs goes on with the program it began with: Windows lets a running program be renamed, not
; replaced.
!macro NSIS_HOOK_PREINSTALL
  Delete "$INSTDIR\leeward.before.exe"
  Rename "$INSTDIR\leeward.exe" "$INSTDIR\leeward.before.exe"
!macroend

!macro NSIS_HOOK_POSTINSTALL
  ; Stays until the next time where it still runs.
  Delete "$INSTDIR\leeward.before.exe"
  !insertmacro LEEWARD_PATH add
!macroend

!macro NSIS_HOOK_PREUNINSTALL
  !insertmacro LEEWARD_PATH remove
  Delete "$INSTDIR\leeward.before.exe"
!macroend
