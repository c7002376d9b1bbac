using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>Packed codes, expanded by <see cref="CodeExpansion"/>.</summary>
internal readonly unsafe struct ExpandedCodes(PackedRows rows, int parts) : IExpandedRows
{
    private readonly PackedRows _rows = rows;

    /// <inheritdoc/>
    public int Coding => RowTileKernels.Coding(_rows.Bits, parts);

    /// <summary>Floats of a row's factors.</summary>
    private int FactorsLength => 2 * _rows.Blocks * parts;

    private int BlockBytes => PackedRows.Block * _rows.Bits / 8;

    /// <inheritdoc/>
    public void Arrange(float* x, int count, int columns, byte* target)
    {
        if (_rows.Bits == 8)
        {
            ExpandedHalves.ArrangeInOrder(x, count, columns, target);
        }
        else
        {
            BFloat16PackedKernels.Arrange(x, columns, count, columns, _rows.Bits, target);
        }
    }

    /// <inheritdoc/>
    /// <remarks>Factors are written two vectors at a time.</remarks>
    public long BufferLength(long rows, int blocks) => (rows * FactorsLength) + (2 * Vector512<float>.Count);

    /// <inheritdoc/>
    /// <remarks>The factors of all rows: what was just written by whole vectors would be slow to be read in parts.</remarks>
    public void Prepare(long row, long rows, float* buffer, RowTileArguments* arguments)
    {
        arguments->Constants.Set(_rows.Levels, parts);
        MatrixSource.Prefetch((byte*)(_rows.Scales + (row * _rows.Groups)), rows * _rows.Groups * sizeof(float));
        MatrixSource.Prefetch(_rows.Zeros + (row * _rows.Groups), rows * _rows.Groups);
        for (long i = 0; i < rows; i++)
        {
            CopyFactors(row + i, buffer + (i * FactorsLength));
        }
    }

    /// <inheritdoc/>
    public void Locate(in ExpandedPiece piece, int first, int perPass, byte* target, float* buffer, RowTileArguments* arguments)
    {
        (long rowFactors, long blockFactors) = (FactorsLength * sizeof(float), 2L * parts * sizeof(float));
        byte* codes = _rows.Codes + ((piece.Row + first) * _rows.RowBytes) + ((long)piece.Block * BlockBytes);
        byte* factors = (byte*)buffer + ((piece.InItem + first) * rowFactors) + (piece.Block * blockFactors);
        arguments->SetRows(codes, _rows.RowBytes, BlockBytes, piece.Blocks, perPass, target + (first * RowTileKernels.VectorBytes));
        arguments->SetFactors(factors, rowFactors, blockFactors, piece.Blocks, perPass);
        arguments->Ahead = piece.Ahead * _rows.Bits / 8;
    }

    /// <inheritdoc/>
    public void Expand(in ExpandedPiece piece, byte* target, float* buffer, RowTileArguments* arguments)
    {
        Locate(piece, 0, RowTileKernels.Rows, target, buffer, arguments);
        RowTileKernels.Expand(Coding, piece.Blocks, arguments);
    }

    /// <summary>Scale and zero point of each part of a row, side by side; parts behind the last column repeat the last group.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void CopyFactors(long row, float* target)
    {
        float* scales = _rows.Scales + (row * _rows.Groups);
        byte* zeros = _rows.Zeros + (row * _rows.Groups);
        (int width, int count, int done) = (PackedRows.Block / parts, _rows.Blocks * parts, 0);
        if (_rows.GroupSize == width)
        {
            Vector512<int> lower = Vector512.Create(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            Vector512<int> upper = lower + Vector512.Create(8);
            for (; done < _rows.Groups; done += Vector512<float>.Count)
            {
                Vector512<float> scale = Vector512.Load(scales + done);
                Vector512<float> zero = Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(Vector128.Load(zeros + done)));
                Avx512F.PermuteVar16x32x2(scale, lower, zero).Store(target + (2 * done));
                Avx512F.PermuteVar16x32x2(scale, upper, zero).Store(target + (2 * done) + Vector512<float>.Count);
            }

            done = _rows.Groups;
        }

        int group = 0;
        long end = _rows.GroupSize;
        for (; done < count; done++)
        {
            long column = Math.Min((long)done * width, _rows.Columns - 1);
            while (column >= end && group < _rows.Groups - 1)
            {
                group++;
                end += _rows.GroupSize;
            }

            (target[2 * done], target[(2 * done) + 1]) = (scales[group], zeros[group]);
        }
    }
}
