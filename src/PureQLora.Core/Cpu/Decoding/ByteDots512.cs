using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>Products of rows of 8-bit codes with one vector: y(n) = Σ over groups of scale · Σ (code − zero) · x. Bound by memory.</summary>
internal static unsafe class ByteDots512
{
    private const int PrefetchBytes = 4096;

    /// <summary>True where every group starts on a whole vector.</summary>
    public static bool Fits(in PackedRows rows) => !rows.IsScattered && (rows.GroupSize % 16 == 0 || rows.Groups == 1);

    /// <summary>Four rows times the vector, operands exact.</summary>
    /// <param name="rows">The weight.</param>
    /// <param name="row">First of the four rows.</param>
    /// <param name="step">Distance of the rows.</param>
    /// <param name="x">The vector, padded with zeros to a multiple of 16.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Vector128<float> Exact(in PackedRows rows, long row, long step, float* x)
    {
        (long stride, long groups) = (step * rows.RowBytes, step * rows.Groups);
        byte* codes = rows.Codes + (row * rows.RowBytes);
        float* scales = rows.Scales + (row * rows.Groups);
        byte* zeros = rows.Zeros + (row * rows.Groups);
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        int column = 0;
        for (int group = 0; group < rows.Groups; group++, scales++, zeros++)
        {
            int end = (int)Math.Min(rows.Columns, (group + 1L) * rows.GroupSize);
            (Vector512<int> z0, Vector512<int> z1) = (Vector512.Create((int)zeros[0]), Vector512.Create((int)zeros[groups]));
            (Vector512<int> z2, Vector512<int> z3) = (Vector512.Create((int)zeros[2 * groups]), Vector512.Create((int)zeros[3 * groups]));
            Vector512<float> t0 = default, t1 = default, t2 = default, t3 = default;
            for (; column < end; column += 16, codes += 16)
            {
                for (int r = 0; r < 4 && (column & 63) == 0; r++)
                {
                    Sse.Prefetch0(codes + (r * stride) + PrefetchBytes);
                }

                Vector512<float> v = Vector512.Load(x + column);
                t0 = Vector512.FusedMultiplyAdd(Centred(codes, z0), v, t0);
                t1 = Vector512.FusedMultiplyAdd(Centred(codes + stride, z1), v, t1);
                t2 = Vector512.FusedMultiplyAdd(Centred(codes + (2 * stride), z2), v, t2);
                t3 = Vector512.FusedMultiplyAdd(Centred(codes + (3 * stride), z3), v, t3);
            }

            s0 = Vector512.FusedMultiplyAdd(t0, Vector512.Create(scales[0]), s0);
            s1 = Vector512.FusedMultiplyAdd(t1, Vector512.Create(scales[groups]), s1);
            s2 = Vector512.FusedMultiplyAdd(t2, Vector512.Create(scales[2 * groups]), s2);
            s3 = Vector512.FusedMultiplyAdd(t3, Vector512.Create(scales[3 * groups]), s3);
        }

        return LaneSums.Of4(s0, s1, s2, s3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Centred(byte* codes, Vector512<int> zero) =>
        Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(Vector128.Load(codes)) - zero);
}
