using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : IWeightMatMulKernels, IQLoraLinearKernels
{
    /// <inheritdoc/>
    public void WeightMatMul(Tensor x, WeightMatrix weight, bool transposeWeight, bool accumulate, Tensor y, Precision precision)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(weight);
        ArgumentNullException.ThrowIfNull(y);
        if (weight.Dense is { } dense)
        {
            Multiply(x, false, dense, transposeWeight, 1f, accumulate, y, precision);
        }
        else if (transposeWeight && IsFewRows(x))
        {
            CheckPrecision(precision);
            FewRowsProduct(x, WithPresentScales(weight), null, null, accumulate, y, precision);
        }
        else if (precision == Precision.Float32)
        {
            Multiply(x, false, Dequantized(WithPresentScales(weight)), transposeWeight, 1f, accumulate, y, precision);
        }
        else
        {
            CheckPrecision(precision);
            QuantizedProduct(x, WithPresentScales(weight), transposeWeight, null, null, accumulate, y);
        }
    }

    /// <inheritdoc/>
    public void QLoraProduct(Tensor x, WeightMatrix weight, bool transpose, Tensor low, Tensor factor, bool accumulate, Tensor y, Precision precision)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(weight);
        if (weight.Quantized is not null && transpose && IsFewRows(x))
        {
            CheckPrecision(precision);
            FewRowsProduct(x, WithPresentScales(weight), low, factor, accumulate, y, precision);
            return;
        }

        if (weight.Quantized is not null && precision != Precision.Float32)
        {
            CheckPrecision(precision);
            QuantizedProduct(x, WithPresentScales(weight), transpose, low, factor, accumulate, y);
            return;
        }

        WeightMatMul(x, weight, transpose, accumulate, y, precision);
        Multiply(low, false, factor, transpose, 1f, accumulate: true, y, precision);
    }

    /// <inheritdoc/>
    public void LinearBias(Tensor bias, Tensor y)
    {
        ArgumentNullException.ThrowIfNull(y);
        int count = Count(y);
        _device.Launch(
            QLoraLinearKernels.Bias,
            LaunchShape.For(count, QLoraLinearKernels.Bias.GroupSize),
            new QLoraLinearKernels.BiasArguments(Floats(bias), (int)y.Shape.Rows, (int)y.Shape.Columns, Floats(y)));
    }

    /// <inheritdoc/>
    public void LinearBiasBackward(Tensor dy, Tensor dBias)
    {
        ArgumentNullException.ThrowIfNull(dy);
        _ = Count(dy);
        _device.Launch(
            QLoraLinearKernels.BiasGradient,
            LaunchShape.For(dy.Shape.Columns, QLoraLinearKernels.BiasGradient.GroupSize),
            new QLoraLinearKernels.BiasArguments(Floats(dBias), (int)dy.Shape.Rows, (int)dy.Shape.Columns, Floats(dy)));
    }

    /// <summary>y = x · Wᵀ, or x · W, and the adapter's term where there is one, with a quantised weight in bfloat16.</summary>
    /// <param name="x">[…, inDim] if transposed, else […, outDim].</param>
    /// <param name="matrix">[outDim, inDim]</param>
    /// <param name="transpose">True for the forward product.</param>
    /// <param name="low">[…, rank], or null.</param>
    /// <param name="factor">B [outDim, rank] if transposed, else A [rank, inDim]; null without low.</param>
    /// <param name="accumulate">Add to y.</param>
    /// <param name="y">[…, outDim] if transposed, else […, inDim].</param>
    private void QuantizedProduct(Tensor x, QuantizedMatrix matrix, bool transpose, Tensor? low, Tensor? factor, bool accumulate, Tensor y)
    {
        int rows = checked((int)x.Shape.Rows);
        if (rows == 0)
        {
            return;
        }

        DeviceQuantizedMatrix weight = DeviceWeight(matrix);
        int rank = low is null ? 0 : (int)low.Shape.Columns;
        int mappedColumns = weight.Pieces * GemmTile.Depth;
        BeginOperands(
            OperandBytes(rows, transpose ? mappedColumns : weight.OutDim)
            + OperandBytes(rows, rank)
            + (transpose ? OperandBytes(weight.OutDim, rank) : OperandBytes(Steps(rank) * GemmTile.Depth, mappedColumns)));
        Operand left = Pack(x, rows, (int)x.Shape.Columns, rows, transpose ? weight : null);
        LowRankTerm term = Term(weight, transpose, low, factor, rows, rank, left);
        int columns = transpose ? weight.OutDim : weight.InDim;
        ResultTile result = new(
            Floats(y), rows, columns, 1f, accumulate ? 1 : 0, weight.ColumnMap, !transpose && weight.IsMapped ? 1 : 0);
        int steps = transpose ? weight.Pieces : Steps(weight.OutDim);
        LaunchShape shape = new(Tiles(transpose ? weight.OutDim : mappedColumns), Tiles(rows));
        _device.Launch(Kernel(weight, transpose), shape, new QLoraLinearKernels.ProductArguments(left.Chunks, left.Pitch, steps, weight.View, term, result));
    }

    private static Kernel<QLoraLinearKernels.ProductArguments> Kernel(DeviceQuantizedMatrix weight, bool transpose) => (weight.HasBook ? 0 : weight.CodeBits, transpose) switch
    {
        (0, true) => QLoraLinearKernels.ForwardBook,
        (0, false) => QLoraLinearKernels.InputGradientBook,
        (4, true) => QLoraLinearKernels.Forward4,
        (4, false) => QLoraLinearKernels.InputGradient4,
        (_, true) => QLoraLinearKernels.Forward8,
        (_, false) => QLoraLinearKernels.InputGradient8,
    };

    /// <summary>Whether every weight would serve so few rows that reading it is all that counts.</summary>
    private static bool IsFewRows(Tensor x) => x.Shape.Rows is > 0 and <= FewRows.Most;

    private static int Tiles(int extent) => (extent + GemmTile.Size - 1) / GemmTile.Size;

    private LowRankTerm Term(DeviceQuantizedMatrix weight, bool transpose, Tensor? low, Tensor? factor, int rows, int rank, Operand standIn)
    {
        if (low is null || factor is null)
        {
            return new LowRankTerm(standIn.Chunks, standIn.Pitch, standIn.Chunks, standIn.Pitch, 1, 0);
        }

        Operand down = Pack(low, rows, rank, rows);
        Operand up = transpose
            ? Pack(factor, weight.OutDim, rank, weight.OutDim)
            : Pack(factor, rank, weight.InDim, Steps(rank) * GemmTile.Depth, weight);
        return new LowRankTerm(down.Chunks, down.Pitch, up.Chunks, up.Pitch, up.Rows, Steps(rank));
    }

    private static void CheckPrecision(Precision precision)
    {
        if (precision == Precision.Int8)
        {
            throw new ArgumentException("Activations of 8 bits are not available on a GPU; use --precision bfloat16 or float32.", nameof(precision));
        }
    }

    /// <summary>The values of a quantised weight, in the workspace until the next operation.</summary>
    private Tensor Dequantized(QuantizedMatrix matrix)
    {
        DeviceQuantizedMatrix weight = DeviceWeight(matrix);
        Shape shape = new(weight.OutDim, weight.InDim);
        Tensor values = new(shape, DataType.Float32, Workspace(shape.Count * sizeof(float)));
        Kernel<QLoraLinearKernels.DequantizeArguments> kernel = weight.HasBook
            ? QLoraLinearKernels.DequantizeBook
            : weight.CodeBits == 4 ? QLoraLinearKernels.Dequantize4 : QLoraLinearKernels.Dequantize8;
        _device.Launch(
            kernel,
            LaunchShape.For((long)weight.OutDim * weight.Pieces * GemmTile.Depth, kernel.GroupSize),
            new QLoraLinearKernels.DequantizeArguments(weight.View, weight.ColumnMap, weight.OutDim, weight.InDim, Floats(values)));
        return values;
    }
}
