/* Wine 8 has no bcryptprimitives.dll, from which Rust's standard library takes random numbers (ProcessPrng). This is one
   for the tests' own Wine prefix, over advapi32's generator. It is no part of the product. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID bytes, ULONG length); /* RtlGenRandom */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T length)
{
    const SIZE_T most = 1 << 16;
    while (length > 0) {
        ULONG piece = (ULONG)(length < most ? length : most);
        if (!SystemFunction036(bytes, piece))
            return FALSE;
        bytes += piece;
        length -= piece;
    }
    return TRUE;
}
