# Installs Leeward {{version}} for this user, or removes it. Needs no administrator and asks nothing.
# Everything stands in functions and the last line calls them: of a script that was cut on its way nothing runs.
[CmdletBinding()]
param(
    # Where to install; the default is below %LOCALAPPDATA%.
    [string] $Prefix = (Join-Path $env:LOCALAPPDATA 'Programs\Leeward'),
    # Leaves the user's PATH as it is.
    [switch] $NoModifyPath,
    # Goes on where no tool can check the signature (minisign, or openssl 3, which Git for Windows has).
    [switch] $ChecksumOnly,
    # Removes the programs, what `leeward setup` has set, and the folder on the PATH.
    [switch] $Uninstall,
    # With -Uninstall: the config, the history and the logs, too.
    [switch] $Purge
)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
# Windows PowerShell draws its progress bar slower than it downloads.
$ProgressPreference = 'SilentlyContinue'

$Version = '{{version}}'
$Key = '{{key}}'
$Url = if ($env:LEEWARD_RELEASE_URL) { $env:LEEWARD_RELEASE_URL } else { '{{url}}' }
# Hash, platform, file.
$Sums = @'
{{sums}}
'@

function Say([string] $Text) { Write-Host "leeward: $Text" }

function Get-Platform {
    # A 32-bit or emulated PowerShell sees another machine than there is.
    $machine = if ($env:PROCESSOR_ARCHITEW6432) { $env:PROCESSOR_ARCHITEW6432 } else { $env:PROCESSOR_ARCHITECTURE }
    switch ($machine) {
        'AMD64' { return 'win32-x64' }
        'ARM64' { return 'win32-arm64' }
        default { throw "There is no program for $machine." }
    }
}

function Get-Sum([string] $Platform) {
    foreach ($line in ($Sums -split "`r?`n")) {
        $words = $line.Trim() -split ' '
        if ($words.Count -ge 3 -and $words[1] -eq $Platform) { return @{ Hash = $words[0]; File = $words[2] } }
    }
    return $null
}

function Get-File([string] $From, [string] $To) {
    [Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
    try { Invoke-WebRequest -UseBasicParsing -Uri $From -OutFile $To } catch { throw "Can't fetch ${From}: $($_.Exception.Message)" }
}

function Find-OpenSsl {
    $places = @((Get-Command openssl -ErrorAction SilentlyContinue | ForEach-Object { $_.Source }))
    if ($env:ProgramFiles) { $places += Join-Path $env:ProgramFiles 'Git\usr\bin\openssl.exe' }
    foreach ($place in $places) {
        if ($place -and (Test-Path $place) -and ((& $place version) -match '^OpenSSL [3-9]')) { return $place }
    }
    return $null
}

function Test-ByKey([string] $OpenSsl, [string] $KeyFile, [string] $Message, [string] $Signature) {
    & $OpenSsl pkeyutl -verify -pubin -inkey $KeyFile -keyform DER -rawin -in $Message -sigfile $Signature | Out-Null
    return $LASTEXITCODE -eq 0
}

# What minisign does: BLAKE2b of the file is signed, then that signature with the comment.
function Test-ByOpenSsl([string] $OpenSsl, [string] $File, [string[]] $Lines, [string] $Comment, [string] $Work) {
    $public = [Convert]::FromBase64String($Key)
    $first = [Convert]::FromBase64String($Lines[1])
    $second = [Convert]::FromBase64String($Lines[3])
    if ($public.Length -ne 42 -or $first.Length -ne 74 -or $second.Length -ne 64) { return $false }
    if ([Text.Encoding]::ASCII.GetString($first, 0, 2) -cne 'ED') { return $false }
    if ([BitConverter]::ToString($first, 2, 8) -ne [BitConverter]::ToString($public, 2, 8)) { return $false }
    [byte[]] $head = 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00
    $keyFile = Join-Path $Work 'key.der'
    [IO.File]::WriteAllBytes($keyFile, [byte[]] ($head + $public[10..41]))
    $signature = Join-Path $Work 'signature'
    [IO.File]::WriteAllBytes($signature, [byte[]] $first[10..73])
    $hash = Join-Path $Work 'hash'
    & $OpenSsl dgst '-blake2b512' -binary -out $hash $File
    if ($LASTEXITCODE -ne 0 -or -not (Test-ByKey $OpenSsl $keyFile $hash $signature)) { return $false }
    $signed = Join-Path $Work 'signed'
    [IO.File]::WriteAllBytes($signed, [byte[]] ($first[10..73] + [Text.Encoding]::UTF8.GetBytes($Comment)))
    $global = Join-Path $Work 'global'
    [IO.File]::WriteAllBytes($global, $second)
    return Test-ByKey $OpenSsl $keyFile $signed $global
}

function Assert-Signature([string] $File, [string] $SignatureFile, [string] $Expected, [string] $Work) {
    $lines = @(Get-Content $SignatureFile)
    if ($lines.Count -lt 4) { throw "The signature of $File is cut." }
    $comment = $lines[2] -replace '^trusted comment: ', ''
    $minisign = Get-Command minisign -ErrorAction SilentlyContinue
    $openssl = Find-OpenSsl
    if ($minisign) {
        & $minisign.Source -Vqm $File -x $SignatureFile -P $Key | Out-Null
        if ($LASTEXITCODE -ne 0) { throw "The signature of $File is wrong." }
    } elseif ($openssl) {
        if (-not (Test-ByOpenSsl $openssl $File $lines $comment $Work)) { throw "The signature of $File is wrong." }
    } elseif ($ChecksumOnly) {
        Say 'the signature is not checked: neither minisign nor openssl 3 is installed'
        return
    } else {
        throw "The signature can't be checked: install minisign or Git for Windows, or go on with -ChecksumOnly."
    }
    # A signature of an older release is valid, too.
    if ($comment -cne $Expected) { throw "The signature is for `"$comment`", not for `"$Expected`"." }
}

function Install-Leeward([string] $Work) {
    $sum = Get-Sum (Get-Platform)
    if (-not $sum) { throw "Release $Version has no program for $(Get-Platform)." }
    $archive = Join-Path $Work $sum.File
    Say "fetching $Url/$($sum.File)"
    Get-File "$Url/$($sum.File)" $archive
    $found = (Get-FileHash -Algorithm SHA256 $archive).Hash.ToLowerInvariant()
    if ($found -ne $sum.Hash) { throw "$($sum.File) is not the file that was published: its checksum is $found, not $($sum.Hash)." }
    Get-File "$Url/$($sum.File).minisig" "$archive.minisig"
    Assert-Signature $archive "$archive.minisig" "leeward $Version $($sum.File)" $Work
    Expand-Archive -Path $archive -DestinationPath $Work
    $new = Join-Path $Work ($sum.File -replace '\.zip$', '')
    $says = & (Join-Path $new 'bin\leeward.exe') --version
    if ($says -ne "leeward $Version") { throw "The program says it is `"$says`", not leeward $Version; nothing was installed." }
    $first = -not (Test-Path (Join-Path $Prefix 'receipt.txt'))
    if ($first -and (Test-Path $Prefix)) { throw "$Prefix belongs to another installation; remove that, or name another -Prefix." }
    $bin = Join-Path $Prefix 'bin'
    New-Item -ItemType Directory -Force $bin | Out-Null
    foreach ($program in Get-ChildItem (Join-Path $new 'bin')) {
        $place = Join-Path $bin $program.Name
        # Windows lets a running program be renamed, not replaced.
        if (Test-Path $place) {
            Remove-Item "$place.before" -ErrorAction SilentlyContinue
            Move-Item -Force $place "$place.before"
        }
        Copy-Item $program.FullName $place
        Remove-Item "$place.before" -ErrorAction SilentlyContinue
    }
    $share = Join-Path $Prefix 'share'
    if (Test-Path $share) { Remove-Item -Recurse -Force $share }
    Copy-Item -Recurse (Join-Path $new 'share') $share
    Set-Content -Path (Join-Path $Prefix 'receipt.txt') -Value "version=$Version" -Encoding ASCII
    Say "installed leeward $Version in $bin"
    if ($first -and -not $NoModifyPath) {
        # The program itself does it: it keeps every other entry as it is, %VARIABLES% included.
        & (Join-Path $bin 'leeward.exe') path add
        if ($env:GITHUB_PATH) { Add-Content -Path $env:GITHUB_PATH -Value $bin }
        Say 'next, in a new terminal: leeward wrap claude'
    } else {
        Say "next: $(Join-Path $bin 'leeward.exe') wrap claude"
    }
}

function Uninstall-Leeward {
    if (-not (Test-Path (Join-Path $Prefix 'receipt.txt'))) { throw "Nothing is installed in $Prefix by this script." }
    $leeward = Join-Path $Prefix 'bin\leeward.exe'
    if (Test-Path $leeward) {
        foreach ($undo in @(@('setup', 'all', '--undo', '--yes'), @('service', 'uninstall'))) {
            # Not every release has them.
            & $leeward help $undo[0] *> $null
            if ($LASTEXITCODE -eq 0) {
                & $leeward @undo
                if ($LASTEXITCODE -ne 0) { throw "``leeward $($undo -join ' ')`` failed; nothing was removed." }
            }
        }
        & $leeward path remove
    }
    Remove-Item -Recurse -Force $Prefix
    foreach ($folder in @((Join-Path $env:APPDATA 'leeward'), (Join-Path $env:LOCALAPPDATA 'leeward'))) {
        if (-not (Test-Path $folder)) { continue }
        if ($Purge) { Remove-Item -Recurse -Force $folder } else { Say "kept $folder (-Purge removes it)" }
    }
    Say "removed from $Prefix"
}

function Invoke-Main {
    if ($Uninstall) {
        Uninstall-Leeward
        return
    }
    $work = Join-Path ([IO.Path]::GetTempPath()) ([IO.Path]::GetRandomFileName())
    New-Item -ItemType Directory $work | Out-Null
    try { Install-Leeward $work } finally { Remove-Item -Recurse -Force $work -ErrorAction SilentlyContinue }
}

Invoke-Main
