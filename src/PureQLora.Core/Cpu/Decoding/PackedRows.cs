using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>A quantised matrix as bare pointers, for kernels that read its codes themselves.</summary>
/// <remarks>The caller of the kernel keeps the matrix reachable. Its blocks end with a spare cache line that may be read.</remarks>
internal readonly unsafe struct PackedRows(QuantizedMatrix matrix)
{
    /// <summary>Columns that kernels take at once: 64 bytes of 4-bit codes.</summary>
    public const int Block = 128;

    /// <summary>Bytes of the factors of a block of four rows.</summary>
    public const int FactorBytes = 2 * PackedKernelAssembler.Rows * sizeof(float);

    public readonly byte* Codes = matrix.Codes;
    public readonly float* Scales = matrix.Scales;
    public readonly byte* Zeros = matrix.Zeros;
    public readonly float* Levels = matrix.Levels;
    public readonly long RowBytes = matrix.RowBytes;
    public readonly int Bits = matrix.Bits;
    public readonly int Columns = matrix.InDim;
    public readonly int GroupSize = matrix.GroupSize;
    public readonly int Groups = matrix.Groups;

    /// <summary>True where columns belong to groups in an order of their own.</summary>
    public readonly bool IsScattered = matrix.GroupIndexPointer is not null;

    /// <summary>True where codes are looked up in a book instead of being numbers.</summary>
    public readonly bool HasBook = matrix.CodeBook is not null;

    /// <summary>Blocks of a row.</summary>
    public int Blocks => (Columns + Block - 1) / Block;

    /// <summary>True where a block lies in one group.</summary>
    public bool HasWholeBlocks => !IsScattered && (GroupSize % Block == 0 || Groups == 1);

    /// <summary>True where each quarter of a block lies in one group.</summary>
    public bool HasWholeQuarters => HasWholeBlocks || (!IsScattered && GroupSize % (Block / 4) == 0);

    /// <summary>Pieces of a block that may lie in groups of their own: 1, 2 or, as far as <see cref="HasWholeQuarters"/> goes, 4.</summary>
    public int Parts => HasWholeBlocks ? 1 : GroupSize % (Block / 2) == 0 ? 2 : 4;

    /// <summary>True where eight consecutive codes from a multiple of 8 on share a group.</summary>
    public bool HasWholeLanes => !IsScattered && (GroupSize % 8 == 0 || Groups == 1);

    /// <summary>Floats that <see cref="CopyFactors"/> writes.</summary>
    public int FactorsLength => 2 * PackedKernelAssembler.Rows * (((Blocks * Parts) + Vector512<float>.Count - 1) & -Vector512<float>.Count);

    /// <summary>Scales and zero points of four rows, <paramref name="step"/> apart, part by part: [blocks, parts, 8], the scales first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void CopyFactors(long row, long step, float* target)
    {
        long stride = step * Groups;
        float* scales = Scales + (row * Groups);
        byte* zeros = Zeros + (row * Groups);
        (int count, int width, int done) = (Blocks * Parts, Block / Parts, 0);
        if (GroupSize == width && Avx512F.IsSupported)
        {
            for (float* at = target; done < Groups; done += 16, at += 128)
            {
                float* scale = scales + done;
                byte* zero = zeros + done;
                Interleave(Vector512.Load(scale), Vector512.Load(scale + stride), Vector512.Load(scale + (2 * stride)), Vector512.Load(scale + (3 * stride)), at);
                Interleave(Widen(zero), Widen(zero + stride), Widen(zero + (2 * stride)), Widen(zero + (3 * stride)), at + 4);
            }

            done = Groups;
        }

        // Parts behind the last column repeat the last group: they meet zeros, but must be numbers.
        for (; done < count; done++)
        {
            int group = Math.Min(done * width, Columns - 1) / GroupSize;
            for (int r = 0; r < PackedKernelAssembler.Rows; r++)
            {
                long at = (r * stride) + group;
                float* factors = target + (2 * PackedKernelAssembler.Rows * done);
                (factors[r], factors[PackedKernelAssembler.Rows + r]) = (scales[at], zeros[at]);
            }
        }
    }

    /// <summary>Sixteen columns of a [4, 16] matrix, eight floats apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Interleave(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d, float* target)
    {
        (Vector512<double> ab, Vector512<double> cd) = (Avx512F.UnpackLow(a, b).AsDouble(), Avx512F.UnpackLow(c, d).AsDouble());
        Every4(Avx512F.UnpackLow(ab, cd).AsSingle(), target);
        Every4(Avx512F.UnpackHigh(ab, cd).AsSingle(), target + 8);
        (ab, cd) = (Avx512F.UnpackHigh(a, b).AsDouble(), Avx512F.UnpackHigh(c, d).AsDouble());
        Every4(Avx512F.UnpackLow(ab, cd).AsSingle(), target + 16);
        Every4(Avx512F.UnpackHigh(ab, cd).AsSingle(), target + 24);
    }

    /// <summary>Stores the quarters of a vector as columns 0, 4, 8 and 12.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Every4(Vector512<float> quarters, float* target)
    {
        quarters.GetLower().GetLower().Store(target);
        quarters.GetLower().GetUpper().Store(target + 32);
        quarters.GetUpper().GetLower().Store(target + 64);
        quarters.GetUpper().GetUpper().Store(target + 96);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Widen(byte* bytes) => Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(Vector128.Load(bytes)));
}
