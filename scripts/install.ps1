<#
.SYNOPSIS
Installs Nightjar for the user who runs it, on Windows; what install.sh does elsewhere. No administrator is needed.

.DESCRIPTION
Lays out the program with a Node of its own in %LOCALAPPDATA%\Nightjar, writes the configuration for this user's eyes
only (never over one that is there), runs the daemon as a task at logon, tells the browsers that are there by the
registry (`nightjar install`), tries it, and says what to do next. -Uninstall takes all of it back.

.EXAMPLE
scripts\install.ps1 -Network https://directory.example.org/network.json -Key m0BH...,ktOe... -Threshold 2

.EXAMPLE
scripts\install.ps1 -Uninstall -Purge
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    # The network document: a file, or https://...
    [string] $Network,
    # Public keys of the directories that you trust (base64).
    [string[]] $Key = @(),
    # How many of them must have signed; all of them, unless given.
    [ValidateRange(0, 64)] [int] $Threshold = 0,
    # Port of the local RPC endpoint.
    [ValidateRange(0, 65535)] [int] $Port = 8645,
    [switch] $NoBrowsers,
    # Build the program anew even where dist is newer than its sources.
    [switch] $Build,
    [switch] $Uninstall,
    # With -Uninstall: delete configuration and state without asking.
    [switch] $Purge
    # -WhatIf, which PowerShell adds, only says what would be done.
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

# Places: those of native-host/src/config.ts.
$checkout = Split-Path -Parent $PSScriptRoot
$data = Join-Path $env:LOCALAPPDATA 'Nightjar'
$command = Join-Path $data 'nightjar.cmd'
# What is installed says where its files are, whatever the variable says today.
if (Test-Path $command) {
    $said = Select-String -Path $command -Pattern '^@set "NIGHTJAR_HOME=(.*)"$'
    $env:NIGHTJAR_HOME = if ($said) { $said.Matches[0].Groups[1].Value.Replace('%%', '%') } else { $null }
}
$configFolder = if ($env:NIGHTJAR_HOME) { $env:NIGHTJAR_HOME } else { Join-Path $HOME '.config\nightjar' }
$stateFolder = if ($env:NIGHTJAR_HOME) { $env:NIGHTJAR_HOME } else { Join-Path $HOME '.local\state\nightjar' }
$config = Join-Path $configFolder 'config.yaml'
$program = Join-Path $data 'program'
$node = Join-Path $program 'bin\node.exe'
$main = Join-Path $program 'app\nightjar.js'
$task = 'Nightjar'

$script:steps = 0
function Step([string] $words) {
    $script:steps++
    Write-Host "[$($script:steps)] $words"
}

# Runs a program; a failure ends the script.
function Invoke-Checked([string] $file, [string[]] $arguments) {
    if (-not $PSCmdlet.ShouldProcess("$file $arguments", 'run')) { return }
    & $file @arguments
    if ($LASTEXITCODE -ne 0) { throw "$file $arguments failed (exit code $LASTEXITCODE)" }
}

function Install-Program {
    $builder = Get-Command node -ErrorAction SilentlyContinue
    if ($null -eq $builder) { throw 'Node is needed to install Nightjar: Node 20 or newer with npm, from https://nodejs.org' }
    # A file of a program that runs cannot be replaced here.
    Stop-Daemon
    Invoke-Checked $builder.Source (@((Join-Path $checkout 'scripts\package.mjs'), $program) + @(if ($Build) { '--build' }))
    if ($PSCmdlet.ShouldProcess($command, 'write')) {
        $lines = @('@chcp 65001 >nul')
        if ($env:NIGHTJAR_HOME) { $lines += '@set "NIGHTJAR_HOME={0}"' -f $env:NIGHTJAR_HOME.Replace('%', '%%') }
        $lines += '@"%~dp0program\bin\node.exe" "%~dp0program\app\nightjar.js" %*'
        [IO.File]::WriteAllLines($command, [string[]] $lines)
    }
}

function Stop-Daemon {
    if (Test-Path $node) { Invoke-Checked $node @($main, 'stop') }
}

function ConvertTo-Yaml([string] $text) { "'" + $text.Replace("'", "''") + "'" }

function Get-Settings {
    if (-not $Network) { $script:Network = Read-Host 'Network document (file or https://...)' }
    if ($script:Network -notmatch '^(https://|http://(127(\.[0-9]{1,3}){3}|localhost|\[::1\])(:[0-9]{1,5})?(/|$))') { $script:Network = (Resolve-Path $script:Network).Path }
    if ($Key.Count -eq 0) { $script:Key = (Read-Host 'Keys of its directories, with spaces between') -split '\s+' }
    foreach ($each in $script:Key) {
        if ($each -cnotmatch '^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$') { throw "-Key: $each is not the base64 text of a 32-byte key" }
    }
    if (@($script:Key | Sort-Object -CaseSensitive -Unique).Count -ne $script:Key.Count) { throw '-Key: one of them is there twice' }
    if ($Threshold -eq 0) { $script:Threshold = $script:Key.Count }
    if ($script:Threshold -gt $script:Key.Count) { throw "-Threshold: more than the $($script:Key.Count) keys that there are" }
}

function Write-Config {
    if (Test-Path $config) {
        Write-Host "    kept $config as it is"
        return
    }
    if (-not $PSCmdlet.ShouldProcess($config, 'write')) { return }
    New-Item -ItemType Directory -Force $configFolder | Out-Null
    # This user alone, before there is anything in it; nothing is inherited.
    & icacls.exe $configFolder /inheritance:r /grant:r "$($env:USERDOMAIN)\$($env:USERNAME):(OI)(CI)F" | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "the rights of $configFolder could not be set" }
    $lines = @('network:', "  document: $(ConvertTo-Yaml $Network)", '  trust:', '    keys:')
    $lines += $Key | ForEach-Object { "      - $(ConvertTo-Yaml $_)" }
    $lines += @("    threshold: $Threshold", 'endpoint:', "  port: $Port")
    # Without the mark at the beginning that Windows PowerShell would write.
    [IO.File]::WriteAllLines($config, [string[]] $lines)
    Write-Host "    wrote $config"
}

function Install-Task {
    if (-not $PSCmdlet.ShouldProcess($task, 'run the daemon at logon')) { return }
    # conhost keeps the console of Node from being shown.
    $action = New-ScheduledTaskAction -Execute 'conhost.exe' -Argument "--headless `"$node`" `"$main`" up"
    $trigger = New-ScheduledTaskTrigger -AtLogOn -User "$($env:USERDOMAIN)\$($env:USERNAME)"
    $settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries `
        -ExecutionTimeLimit ([TimeSpan]::Zero) -RestartCount 3 -RestartInterval (New-TimeSpan -Minutes 1)
    Register-ScheduledTask -TaskName $task -Action $action -Trigger $trigger -Settings $settings -Force | Out-Null
    Start-ScheduledTask -TaskName $task
    # Before any browser asks for the daemon, or it would start another one.
    foreach ($second in 1..15) {
        & $node $main status *> $null
        if ($LASTEXITCODE -eq 0) { return }
        Start-Sleep -Seconds 1
    }
    Write-Host '    it does not serve yet'
}

function Install-Nightjar {
    if (-not (Test-Path $config)) { Get-Settings }
    Step 'Program'
    Install-Program
    Step 'Configuration'
    Write-Config
    Step 'Daemon'
    Install-Task
    Step 'Browsers'
    if (-not $NoBrowsers) { Invoke-Checked $node @($main, 'install') }
    Step 'Trying it'
    Invoke-Checked $node @($main, 'status')
    Write-Host ''
    Write-Host "Nightjar is $command; put its folder on your PATH to type nightjar."
    Write-Host 'Next, load the extension:'
    Write-Host "  Chromium and its kin: chrome://extensions, Developer mode, Load unpacked: $program\extension"
    Write-Host "  Firefox: about:debugging, This Firefox, Load Temporary Add-on: $program\extension-firefox\manifest.json"
    Write-Host 'Then open its options: it checks the network by itself, with keys that it is given there. Under "Directory":'
    # The keys and the threshold of the configuration, as far as it is one that we wrote or looks like it.
    foreach ($line in @(Get-Content $config -ErrorAction SilentlyContinue)) {
        if ($line -match '^ *- *[''"]?([A-Za-z0-9+/]{43}=)[''"]? *$') { Write-Host "    key        $($Matches[1])" }
        elseif ($line -match '^ *threshold: *([0-9]+)') { Write-Host "    signatures $($Matches[1])" }
    }
    Write-Host 'Save them, then press Go private in its popup.'
}

function Uninstall-Nightjar {
    Step 'Daemon'
    if (Get-ScheduledTask -TaskName $task -ErrorAction SilentlyContinue) {
        if ($PSCmdlet.ShouldProcess($task, 'remove the task')) { Unregister-ScheduledTask -TaskName $task -Confirm:$false }
    }
    Stop-Daemon
    Step 'Browsers and state'
    $wanted = $Purge -or (-not $WhatIfPreference -and (Read-Host "Delete configuration and state, too ($configFolder)? [y/N]") -match '^y')
    if (Test-Path $node) {
        $more = if ($wanted) { @('--purge') } else { @() }
        Invoke-Checked $node (@($main, 'uninstall') + $more)
    }
    else {
        Write-Host '    the program is not there; browsers keep what they were told'
        if ($wanted) {
            foreach ($file in 'config.yaml', 'state.json', 'newest-network.json', 'daemon.pid') {
                foreach ($folder in $configFolder, $stateFolder) {
                    Remove-Item -Force -ErrorAction SilentlyContinue (Join-Path $folder $file)
                }
            }
        }
    }
    Step 'Program'
    if (Test-Path $data) { Remove-Item -Recurse -Force $data }
    Write-Host 'Remove the extension from your browsers as well.'
}

if ($Uninstall) { Uninstall-Nightjar } else { Install-Nightjar }
