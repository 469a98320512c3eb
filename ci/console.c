/* A program of a console, as an agent is one: says what the console tells it, and ends by a code of its own.
 * Ctrl-C: 7 at the second one; Ctrl-Break: 8; the console's end: 9.
 *
 * With the arguments "tell PID EVENT" it tells another program itself, as the console does: by a thread of that program
 * which begins in CtrlRoutine. Wine 8 has no other way to Ctrl-Break and to the end of a console in a Unix terminal.
 * With "pester PID EVENT" it does so without a pause as long as that program lives, and longer: Wine may never answer for one that
 * is about to end.
 * With "lose PID PORT WHICH" it closes that program's handles of the socket that listens there behind its back, as a tool that
 * closes handles does: "all" of them, the "first" or the "last". It says how many there were.
 * With "stay" it is an agent that runs until its input ends. With "end" it ends each process that its input names, at once and
 * without a word to it (TerminateProcess). With "bind PORT" it is a stranger that binds this port in a loop, with SO_REUSEADDR
 * every other time, and says "won" when it has it, and "tried" every hundredth time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <winsock2.h>
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

static HANDLE begin_telling(HANDLE process, DWORD event) {
    /* It lies at the same address in each process. */
    FARPROC routine = GetProcAddress(GetModuleHandleA("kernelbase.dll"), "CtrlRoutine");
    return CreateRemoteThread(process, NULL, 0, (LPTHREAD_START_ROUTINE)routine, (void *)(ULONG_PTR)event, 0, NULL);
}

static int tell(DWORD pid, DWORD event) {
    HANDLE process = OpenProcess(PROCESS_ALL_ACCESS, FALSE, pid);
    return process && begin_telling(process, event) ? 0 : 1;
}

static int pester(DWORD pid, DWORD event) {
    HANDLE both[2] = { OpenProcess(PROCESS_ALL_ACCESS, FALSE, pid), NULL };
    if (!both[0]) return 1;
    while (WaitForSingleObject(both[0], 0) == WAIT_TIMEOUT && (both[1] = begin_telling(both[0], event))) {
        puts("told");
        fflush(stdout);
        WaitForMultipleObjects(2, both, FALSE, 5000);
        CloseHandle(both[1]);
    }
    return 0;
}

/* What mio asks Windows, too: is there room to send? A socket that is connected has it, one that listens never does. */
static int connected(HANDLE socket) {
    struct { LARGE_INTEGER timeout; ULONG count; ULONG exclusive; HANDLE socket; ULONG events; NTSTATUS status; } poll = {0};
    const ULONG AFD_POLL = 0x12024, WRITE = 4;
    IO_STATUS_BLOCK io = {0};
    poll.count = 1;
    poll.socket = socket;
    poll.events = WRITE;
    NtDeviceIoControlFile(socket, NULL, NULL, NULL, &io, AFD_POLL, &poll, sizeof poll, &poll, sizeof poll);
    return poll.count && (poll.events & WRITE);
}

static int lose(DWORD pid, unsigned short port, const char *which) {
    HANDLE process = OpenProcess(PROCESS_ALL_ACCESS, FALSE, pid), here;
    WSADATA data;
    ULONG_PTR found[16];
    int count = 0;
    if (!process || WSAStartup(MAKEWORD(2, 2), &data)) return 1;
    for (ULONG_PTR handle = 4; handle < 16384 && count < 16; handle += 4) {
        struct sockaddr_in own = {0};
        int length = sizeof own;
        if (!DuplicateHandle(process, (HANDLE)handle, GetCurrentProcess(), &here, 0, FALSE, DUPLICATE_SAME_ACCESS)) continue;
        int ours = !getsockname((SOCKET)here, (struct sockaddr *)&own, &length) && ntohs(own.sin_port) == port;
        if (ours && !connected(here)) found[count++] = handle;
        CloseHandle(here);
    }
    for (int n = 0; n < count; n++) {
        if ((!strcmp(which, "first") && n) || (!strcmp(which, "last") && n < count - 1)) continue;
        if (!DuplicateHandle(process, (HANDLE)found[n], GetCurrentProcess(), &here, 0, FALSE, DUPLICATE_CLOSE_SOURCE)) return 1;
        CloseHandle(here);
    }
    printf("%s of %d\n", which, count);
    return count > 1 ? 0 : 1;
}

static int end(void) {
    char line[32];
    while (fgets(line, sizeof line, stdin)) {
        HANDLE process = OpenProcess(PROCESS_TERMINATE, FALSE, atoi(line));
        puts(process && TerminateProcess(process, 1) ? "ended" : "not ended");
        fflush(stdout);
        if (process) CloseHandle(process);
    }
    return 0;
}

static int bind_in_a_loop(unsigned short port) {
    WSADATA data;
    struct sockaddr_in at = {0};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (WSAStartup(MAKEWORD(2, 2), &data)) return 1;
    for (unsigned n = 1;; n++) {
        SOCKET stranger = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
        BOOL reuse = n % 2;
        setsockopt(stranger, SOL_SOCKET, SO_REUSEADDR, (const char *)&reuse, sizeof reuse);
        if (stranger == INVALID_SOCKET) return 1;
        if (!bind(stranger, (struct sockaddr *)&at, sizeof at) && !listen(stranger, 1)) puts("won");
        if (n % 100 == 0) puts("tried");
        fflush(stdout);
        closesocket(stranger);
        Sleep(1);
    }
}

static ULONG_PTR starter(void) {
    PROCESS_BASIC_INFORMATION info = {0};
    NtQueryInformationProcess(GetCurrentProcess(), ProcessBasicInformation, &info, sizeof info, NULL);
    return info.InheritedFromUniqueProcessId;
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[1], "tell")) return tell(atoi(argv[2]), atoi(argv[3]));
    if (argc == 4 && !strcmp(argv[1], "pester")) return pester(atoi(argv[2]), atoi(argv[3]));
    if (argc == 5 && !strcmp(argv[1], "lose")) return lose(atoi(argv[2]), atoi(argv[3]), argv[4]);
    if (argc == 2 && !strcmp(argv[1], "end")) return end();
    if (argc == 3 && !strcmp(argv[1], "bind")) return bind_in_a_loop((unsigned short)atoi(argv[2]));
    /* Whole lines, or the console gets each letter by itself. */
    setvbuf(stdout, NULL, _IOFBF, 256);
    if (!SetConsoleCtrlHandler(told, TRUE)) return 1;
    printf("the agent %lu of %llu runs\n", GetCurrentProcessId(), (unsigned long long)starter());
    fflush(stdout);
    if (argc == 2 && !strcmp(argv[1], "stay")) {
        while (getchar() != EOF);
        return 0;
    }
    Sleep(60000);
    return 2;
}
