using ILGPU;
using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : IFloat64Kernels
{
    /// <inheritdoc/>
    public void SymmetricUpdate(Tensor x, Float64Matrix sum)
    {
        ArgumentNullException.ThrowIfNull(x);
        int columns = checked((int)x.Shape.Columns);
        if (sum.Rows != columns || sum.Columns != columns)
        {
            throw new ArgumentException($"The sum over {x} is [{sum.Rows}, {sum.Columns}], it must be [{columns}, {columns}].", nameof(sum));
        }

        if (Count(x) > 0)
        {
            int tiles = (columns + Float64Kernels.SumTile - 1) / Float64Kernels.SumTile;
            _device.Launch(
                Float64Kernels.SymmetricUpdate,
                new LaunchShape(tiles, tiles),
                new Float64Kernels.SumArguments(Floats(x), (int)x.Shape.Rows, columns, Doubles(sum), sum.Stride));
        }
    }

    /// <inheritdoc/>
    public void MultiplyAddFloat64(Float64Matrix a, bool transposeA, Float64Matrix b, bool transposeB, double alpha, Float64Matrix c)
    {
        (int rows, int inner) = transposeA ? (a.Columns, a.Rows) : (a.Rows, a.Columns);
        (int depth, int columns) = transposeB ? (b.Columns, b.Rows) : (b.Rows, b.Columns);
        if (inner != depth || c.Rows != rows || c.Columns != columns)
        {
            throw new ArgumentException($"[{rows}, {inner}] times [{depth}, {columns}] does not make [{c.Rows}, {c.Columns}].", nameof(c));
        }

        if ((long)rows * columns * inner > 0)
        {
            _device.Launch(
                Float64Kernels.Product,
                new LaunchShape((columns + Float64Kernels.ProductTile - 1) / Float64Kernels.ProductTile, (rows + Float64Kernels.ProductTile - 1) / Float64Kernels.ProductTile),
                new Float64Kernels.ProductArguments(
                    new Float64Kernels.DoubleOperand(Doubles(a), rows, transposeA ? 1 : a.Stride, transposeA ? a.Stride : 1),
                    new Float64Kernels.DoubleOperand(Doubles(b), columns, transposeB ? b.Stride : 1, transposeB ? 1 : b.Stride),
                    inner,
                    alpha,
                    Doubles(c),
                    c.Stride));
        }
    }

    private static ArrayView<double> Doubles(Float64Matrix matrix) =>
        ((DeviceMemory)matrix.Storage).View<double>(matrix.Start * sizeof(double), matrix.Rows == 0 ? 0 : ((long)(matrix.Rows - 1) * matrix.Stride) + matrix.Columns);
}
