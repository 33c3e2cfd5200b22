@echo off
rem Sets depthscope up beside this file (once), then passes every argument on.
setlocal
set "ROOT=%~dp0"
set "VENV=%ROOT%.venv"
set "STAMP=%VENV%\.installed-core"

if exist "%STAMP%" goto run

set "PYTHON=py -3"
where py >nul 2>nul || set "PYTHON=python"
%PYTHON% -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>nul
if errorlevel 1 (
  echo depthscope needs Python 3.11 or newer. Install it, with "Add python.exe to PATH" ticked, and run this again. 1>&2
  exit /b 2
)
if not exist "%VENV%\Scripts\python.exe" (
  echo making the virtual environment ... 1>&2
  %PYTHON% -m venv "%VENV%" || exit /b 2
)
echo installing depthscope ... 1>&2
"%VENV%\Scripts\python.exe" -m pip install --quiet --disable-pip-version-check -c "%ROOT%constraints.txt" -e "%ROOT%." || exit /b 1
type nul > "%STAMP%"

:run
if "%~1"=="" (
  "%VENV%\Scripts\depthscope.exe" --help
) else (
  "%VENV%\Scripts\depthscope.exe" %*
)
exit /b %ERRORLEVEL%
