/* A program of a console, as an agent is one: says what the console tells it, and ends by a code of its own.
 * Ctrl-C: 7 at the second one; Ctrl-Break: 8; the console's end: 9.
 *
 * With the arguments "tell PID EVENT" it tells another program itself, as the console does: by a thread of that program
 * which begins in CtrlRoutine. Wine 8 has no other way to Ctrl-Break and to the end of a console in a Unix terminal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>
#include <winternl.h>

static LONG interrupts;

static BOOL WINAPI told(DWORD event) {
    if (event == CTRL_C_EVENT) {
        LONG n = InterlockedIncrement(&interrupts);
        printf("interrupted %ld\n", n);
        fflush(stdout);
        if (n == 2) ExitProcess(7);
    }
    if (event == CTRL_BREAK_EVENT) ExitProcess(8);
    if (event == CTRL_CLOSE_EVENT) ExitProcess(9);
    return TRUE;
}

static int tell(DWORD pid, DWORD event) {
    HANDLE process = OpenProcess(PROCESS_ALL_ACCESS, FALSE, pid);
    /* It lies at the same address in each process. */
    FARPROC routine = GetProcAddress(GetModuleHandleA("kernelbase.dll"), "CtrlRoutine");
    if (!process || !routine) return 1;
    return CreateRemoteThread(process, NULL, 0, (LPTHREAD_START_ROUTINE)routine, (void *)(ULONG_PTR)event, 0, NULL) ? 0 : 1;
}

static ULONG_PTR starter(void) {
    PROCESS_BASIC_INFORMATION info = {0};
    NtQueryInformationProcess(GetCurrentProcess(), ProcessBasicInformation, &info, sizeof info, NULL);
    return info.InheritedFromUniqueProcessId;
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[1], "tell")) return tell(atoi(argv[2]), atoi(argv[3]));
    /* Whole lines, or the console gets each letter by itself. */
    setvbuf(stdout, NULL, _IOFBF, 256);
    if (!SetConsoleCtrlHandler(told, TRUE)) return 1;
    printf("the agent %lu of %llu runs\n", GetCurrentProcessId(), (unsigned long long)starter());
    fflush(stdout);
    Sleep(60000);
    return 2;
}
