using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : IMatMulKernels
{
    /// <inheritdoc/>
    public void MatMul(Tensor a, bool transposeA, Tensor b, bool transposeB, float alpha, bool accumulate, Tensor c, Precision precision)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        ArgumentNullException.ThrowIfNull(c);
        if (a.Shape.Rank == 2 && b.Shape.Rank == 2)
        {
            Multiply(a, transposeA, b, transposeB, alpha, accumulate, c, precision);
            return;
        }

        long batch = Math.Max(Batch(a), Batch(b));
        for (long item = 0; item < batch; item++)
        {
            // A plain c over a batch receives the sum.
            bool adds = accumulate || (item > 0 && c.Shape.Rank == 2);
            Multiply(Item(a, item), transposeA, Item(b, item), transposeB, alpha, adds, Item(c, item), precision);
        }
    }

    private static long Batch(Tensor tensor) => tensor.Shape.Rank == 2 ? 1 : tensor.Shape.Count / Math.Max(1, tensor.Shape[-1] * tensor.Shape[-2]);

    /// <summary>One matrix of a batch; a plain one serves every item.</summary>
    private static Tensor Item(Tensor tensor, long item)
    {
        if (tensor.Shape.Rank == 2)
        {
            return tensor;
        }

        Shape shape = new(tensor.Shape[-2], tensor.Shape[-1]);
        return new Tensor(shape, tensor.DataType, tensor.Storage, tensor.ByteOffset + (item * shape.Count * tensor.DataType.Size()));
    }

    /// <summary>c = alpha · op(a) · op(b) of matrices, or of rows where a and c have more dimensions and a is not transposed.</summary>
    private void Multiply(Tensor a, bool transposeA, Tensor b, bool transposeB, float alpha, bool accumulate, Tensor c, Precision precision)
    {
        CheckPrecision(precision);
        int rows = checked((int)(transposeA ? a.Shape.Columns : a.Shape.Rows));
        int inner = checked((int)(transposeA ? a.Shape.Rows : a.Shape.Columns));
        int columns = checked((int)(transposeB ? b.Shape.Rows : b.Shape.Columns));
        if (rows == 0 || columns == 0)
        {
            return;
        }

        (_, _) = (Count(a), Count(b));
        if (IsFewRows(rows, transposeA, a, transposeB, b))
        {
            MultiplyFewRows(a, b, rows, columns, alpha, accumulate, c);
            return;
        }

        if (precision == Precision.Float32)
        {
            MultiplyFloat32(a, transposeA, b, transposeB, rows, inner, columns, Result(c, rows, columns, alpha, accumulate));
            return;
        }

        BeginOperands(OperandBytes(rows, inner) + OperandBytes(columns, inner));
        Operand left = Pack(a, rows, inner, rows, transpose: transposeA);
        Operand right = Pack(b, columns, inner, columns, transpose: !transposeB);
        _device.Launch(
            MatMulKernels.BFloat16,
            new LaunchShape(Tiles(columns), Tiles(rows)),
            new MatMulKernels.BFloat16Arguments(left.Chunks, right.Chunks, left.Pitch, Steps(inner), Result(c, rows, columns, alpha, accumulate)));
    }

    private void MultiplyFloat32(Tensor a, bool transposeA, Tensor b, bool transposeB, int rows, int inner, int columns, ResultTile result)
    {
        MatMulKernels.FloatOperand left = new(Floating(a), rows, transposeA ? 1 : inner, transposeA ? rows : 1);
        MatMulKernels.FloatOperand right = new(Floating(b), columns, transposeB ? inner : 1, transposeB ? 1 : columns);
        LaunchShape shape = new((columns + MatMulKernels.FloatTile - 1) / MatMulKernels.FloatTile, (rows + MatMulKernels.FloatTile - 1) / MatMulKernels.FloatTile);
        _device.Launch(MatMulKernels.Float32, shape, new MatMulKernels.Float32Arguments(left, right, inner, result));
    }

    private ResultTile Result(Tensor c, int rows, int columns, float alpha, bool accumulate) =>
        new(Floats(c), rows, columns, alpha, accumulate ? 1 : 0, _workspace.View<int>(0, 1), 0);
}
