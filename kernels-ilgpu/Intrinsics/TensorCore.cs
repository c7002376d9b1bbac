using ILGPU;
using ILGPU.IR.Intrinsics;
using PureQLora.Kernels.Simulation;

namespace PureQLora.Kernels;

/// <summary>
/// Products of small bfloat16 matrices by the 32 threads of a warp, and how their operands come from shared memory. All threads of the warp
/// call together.
/// </summary>
/// <remarks>PTX ISA, "Warp Level Matrix Multiply-Accumulate Instructions": mma.m16n8k16 and ldmatrix.</remarks>
public static class TensorCore
{
    /// <summary>c + a · b with a [16, 16], b [16, 8] and c [16, 8], sums in float32.</summary>
    /// <param name="c">
    /// Of thread 4·g + t: rows g (X, Y) and g + 8 (Z, W), columns 2t and 2t + 1.
    /// </param>
    /// <param name="a">Of thread 4·g + t: rows g (X, Z) and g + 8 (Y, W), columns 2t, 2t + 1 (X, Y) and 2t + 8, 2t + 9 (Z, W).</param>
    /// <param name="b0">Of thread 4·g + t: column g, rows 2t and 2t + 1.</param>
    /// <param name="b1">Of thread 4·g + t: column g, rows 2t + 8 and 2t + 9.</param>
    [IntrinsicImplementation, Ptx("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {$r0, $r1, $r2, $r3}, {$4, $5, $6, $7}, {$8, $9}, {$0, $1, $2, $3}")]
    public static Float4 MultiplyAdd(Float4 c, Word4 a, uint b0, uint b1)
    {
        ReadOnlySpan<Operands> lanes = WarpExchange.All(new Operands(a, b0, b1));
        int row = Warp.LaneIdx >> 2;
        int column = 2 * (Warp.LaneIdx & 3);
        (float x, float y, float z, float w) = (c.X, c.Y, c.Z, c.W);
        for (int j = 0; j < 4; j++)
        {
            // Thread 4·g + j has the columns 2j, 2j + 1, 2j + 8, 2j + 9 of row g of a, and the rows of these numbers of column g of b.
            Word4 left = lanes[(4 * row) + j].A;
            Operands first = lanes[(4 * column) + j];
            Operands second = lanes[(4 * column) + 4 + j];
            x += Dot(left.X, first.B0) + Dot(left.Z, first.B1);
            y += Dot(left.X, second.B0) + Dot(left.Z, second.B1);
            z += Dot(left.Y, first.B0) + Dot(left.W, first.B1);
            w += Dot(left.Y, second.B0) + Dot(left.W, second.B1);
        }

        return new Float4(x, y, z, w);
    }

    /// <summary>
    /// Four 8 × 8 matrices from shared memory. Thread i gives row i % 8 of matrix i / 8; thread 4·g + t gets columns 2t and 2t + 1 of row g of
    /// each: the operand a of <see cref="MultiplyAdd"/>, or b if its rows in memory are columns of the product.
    /// </summary>
    /// <param name="tile">In shared memory.</param>
    /// <param name="row">The thread's row: eight numbers.</param>
    public static Word4 LoadMatrices(ArrayView<Word4> tile, int row) => Load(
#if ILGPU
        ref
#endif
        tile[row]);

    /// <summary>As <see cref="LoadMatrices"/>, each matrix transposed: thread 4·g + t gets rows 2t and 2t + 1 of column g.</summary>
    /// <param name="tile">In shared memory.</param>
    /// <param name="row">The thread's row: eight numbers.</param>
    public static Word4 LoadMatricesTransposed(ArrayView<Word4> tile, int row) => LoadTransposed(
#if ILGPU
        ref
#endif
        tile[row]);

    [IntrinsicImplementation, Ptx("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {$r0, $r1, $r2, $r3}, [$0]")]
    private static Word4 Load(
#if ILGPU
        ref
#endif
        Word4 row)
    {
        ReadOnlySpan<Word4> rows = WarpExchange.All(row);
        int first = Warp.LaneIdx >> 2;
        int word = Warp.LaneIdx & 3;
        return new Word4(Select(rows[first], word), Select(rows[first + 8], word), Select(rows[first + 16], word), Select(rows[first + 24], word));
    }

    [IntrinsicImplementation, Ptx("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {$r0, $r1, $r2, $r3}, [$0]")]
    private static Word4 LoadTransposed(
#if ILGPU
        ref
#endif
        Word4 row)
    {
        ReadOnlySpan<Word4> rows = WarpExchange.All(row);
        return new Word4(Column(rows[..8]), Column(rows[8..16]), Column(rows[16..24]), Column(rows[24..]));
    }

    /// <summary>Rows 2t and 2t + 1 of column g of a matrix.</summary>
    private static uint Column(ReadOnlySpan<Word4> matrix)
    {
        int column = Warp.LaneIdx >> 2;
        int row = 2 * (Warp.LaneIdx & 3);
        uint upper = Select(matrix[row], column >> 1) >> (16 * (column & 1));
        uint lower = Select(matrix[row + 1], column >> 1) >> (16 * (column & 1));
        return (upper & 0xFFFFu) | (lower << 16);
    }

    private static uint Select(Word4 words, int index) => index < 2 ? (index == 0 ? words.X : words.Y) : (index == 2 ? words.Z : words.W);

    private static float Dot(uint left, uint right) =>
        (BFloat16Pair.Low(left) * BFloat16Pair.Low(right)) + (BFloat16Pair.High(left) * BFloat16Pair.High(right));

    /// <summary>What a thread brings to a product.</summary>
    private readonly record struct Operands(Word4 A, uint B0, uint B1);
}
