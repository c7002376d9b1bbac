using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : IScaleGradientKernels
{
    /// <summary>
    /// Elements of dL/dW that exist at once in <see cref="ScaleGradient"/>, rounded to whole tiles of rows, at least one: a bound on the
    /// workspace, 16 MiB unless set. No GPU has been timed with it.
    /// </summary>
    public long StripElements { get; set; } = 1 << 22;

    /// <inheritdoc/>
    public void ScaleGradient(Tensor dy, Tensor x, QuantizedMatrix weight, Tensor dScales, Precision precision)
    {
        ArgumentNullException.ThrowIfNull(dy);
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(weight);
        ArgumentNullException.ThrowIfNull(dScales);
        CheckPrecision(precision);
        _ = (Count(dy), Count(x), Count(dScales));
        int tokens = (int)dy.Shape.Rows;
        if (tokens == 0)
        {
            return;
        }

        DeviceQuantizedMatrix packed = DeviceWeight(weight);
        int stripRows = (int)Math.Min(packed.OutDim, Math.Max(1, StripElements / packed.InDim / GemmTile.Size) * GemmTile.Size);
        bool rounds = precision != Precision.Float32;
        BeginOperands(((long)stripRows * packed.InDim * sizeof(float)) + (rounds ? OperandBytes(packed.OutDim, tokens) + OperandBytes(packed.InDim, tokens) : 0));
        (Operand Left, Operand Right)? rounded = rounds
            ? (Pack(dy, packed.OutDim, tokens, packed.OutDim, transpose: true), Pack(x, packed.InDim, tokens, packed.InDim, transpose: true))
            : null;
        for (int first = 0; first < packed.OutDim; first += stripRows)
        {
            int rows = Math.Min(stripRows, packed.OutDim - first);
            Tensor strip = new(new Shape(rows, packed.InDim), DataType.Float32, _workspace, _workspaceUsed);
            ResultTile result = Result(strip, rows, packed.InDim, 1f, accumulate: false);
            if (rounded is { } operands)
            {
                LaunchRoundedStrip(operands.Left, operands.Right, first, tokens, result);
            }
            else
            {
                LaunchStrip(dy, x, first, tokens, result);
            }

            _device.Launch(
                SumKernel(packed),
                LaunchShape.For(rows, ScaleGradientKernels.RowsPerGroup),
                new ScaleGradientKernels.Arguments(
                    Floats(strip), packed.View, packed.ColumnMap, first, rows, packed.InDim, packed.Groups, Floats(dScales)));
        }
    }

    private static Kernel<ScaleGradientKernels.Arguments> SumKernel(DeviceQuantizedMatrix weight)
    {
        Kernel<ScaleGradientKernels.Arguments> ofBits = weight.CodeBits == 4 ? ScaleGradientKernels.Sum4 : ScaleGradientKernels.Sum8;
        return weight.HasBook ? ScaleGradientKernels.SumBook : ofBits;
    }

    /// <summary>Rows of dyᵀ · x from a first one on, of operands in bfloat16.</summary>
    private void LaunchRoundedStrip(Operand left, Operand right, int first, int tokens, ResultTile result) => _device.Launch(
        MatMulKernels.BFloat16,
        new LaunchShape(Tiles(result.Columns), Tiles(result.Rows)),
        new MatMulKernels.BFloat16Arguments(
            left.Chunks.SubView((long)first * left.Pitch, (long)result.Rows * left.Pitch), right.Chunks, left.Pitch, Steps(tokens), result));

    /// <summary>Rows of dyᵀ · x from a first one on, of operands as they are.</summary>
    private void LaunchStrip(Tensor dy, Tensor x, int first, int tokens, ResultTile result)
    {
        int outDim = (int)dy.Shape.Columns;
        FloatingView columns = Floating(dy) with { Singles = Floats(dy).SubView(first, Count(dy) - first) };
        _device.Launch(
            MatMulKernels.Float32,
            new LaunchShape((result.Columns + MatMulKernels.FloatTile - 1) / MatMulKernels.FloatTile, (result.Rows + MatMulKernels.FloatTile - 1) / MatMulKernels.FloatTile),
            new MatMulKernels.Float32Arguments(
                new MatMulKernels.FloatOperand(columns, result.Rows, 1, outDim),
                new MatMulKernels.FloatOperand(Floating(x), result.Columns, 1, result.Columns),
                tokens,
                result));
    }
}
