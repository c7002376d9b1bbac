using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>
/// Transposes 16 rows of 32-bit elements with half of the shuffles of a square in registers: 16 bytes of rows q, 4 + q, 8 + q and 12 + q
/// are loaded into the four lanes of one vector, for q from 0 to 3, so lanes stand in the panel's order from the start, and only the four
/// q have to be put side by side.
/// </summary>
internal static unsafe class PanelLanes
{
    /// <summary>16 bytes of the rows at 0, 4, 8 and 12, a row a lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Load(byte** rows, long at) => Vector512.Create(
        Vector256.Create(Vector128.Load(rows[0] + at), Vector128.Load(rows[4] + at)),
        Vector256.Create(Vector128.Load(rows[8] + at), Vector128.Load(rows[12] + at)));

    /// <summary>Stores four elements of each of 16 rows, element by element: a 4 × 4 transposition in every lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<uint> q0, Vector512<uint> q1, Vector512<uint> q2, Vector512<uint> q3, byte* target, long step)
    {
        Vector512<ulong> low01 = Avx512F.UnpackLow(q0, q1).AsUInt64(), high01 = Avx512F.UnpackHigh(q0, q1).AsUInt64();
        Vector512<ulong> low23 = Avx512F.UnpackLow(q2, q3).AsUInt64(), high23 = Avx512F.UnpackHigh(q2, q3).AsUInt64();
        Avx512F.UnpackLow(low01, low23).Store((ulong*)target);
        Avx512F.UnpackHigh(low01, low23).Store((ulong*)(target + step));
        Avx512F.UnpackLow(high01, high23).Store((ulong*)(target + (2 * step)));
        Avx512F.UnpackHigh(high01, high23).Store((ulong*)(target + (3 * step)));
    }
}
