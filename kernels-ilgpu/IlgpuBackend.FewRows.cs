using ILGPU;
using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend
{
    /// <summary>y = x · Wᵀ, and the adapter's term where there is one, of few rows with a quantised weight; nothing is rounded.</summary>
    private void FewRowsProduct(Tensor x, QuantizedMatrix matrix, Tensor? low, Tensor? factor, bool accumulate, Tensor y)
    {
        DeviceQuantizedMatrix weight = DeviceWeight(matrix);
        (_, _) = (Count(x), Count(y));
        int rows = (int)x.Shape.Rows;
        ArrayView<float> floats = Floats(x);
        bool fours = !weight.IsMapped && HasWholeFours(x);
        _device.Launch(
            FewRowsKernel(weight.CodeBits, rows),
            new LaunchShape((weight.OutDim + QLoraLinearFewRowsKernels.GroupColumns - 1) / QLoraLinearFewRowsKernels.GroupColumns),
            new QLoraLinearFewRowsKernels.ProductArguments(
                floats,
                fours ? Fours(x) : _workspace.View<Float4>(0, 1),
                fours ? 1 : 0,
                rows,
                weight.InDim,
                weight.View,
                weight.ColumnMap,
                weight.IsMapped ? 1 : 0,
                low is null ? floats : Floats(low),
                factor is null ? floats : Floats(factor),
                low is null ? 0 : (int)low.Shape.Columns,
                weight.OutDim,
                accumulate ? 1 : 0,
                Floats(y)));
    }

    private static Kernel<QLoraLinearFewRowsKernels.ProductArguments> FewRowsKernel(int codeBits, int rows) => (codeBits, rows) switch
    {
        (4, 1) => QLoraLinearFewRowsKernels.Forward4Rows1,
        (4, 2) => QLoraLinearFewRowsKernels.Forward4Rows2,
        (4, <= 4) => QLoraLinearFewRowsKernels.Forward4Rows4,
        (4, _) => QLoraLinearFewRowsKernels.Forward4Rows8,
        (_, 1) => QLoraLinearFewRowsKernels.Forward8Rows1,
        (_, 2) => QLoraLinearFewRowsKernels.Forward8Rows2,
        (_, <= 4) => QLoraLinearFewRowsKernels.Forward8Rows4,
        _ => QLoraLinearFewRowsKernels.Forward8Rows8,
    };

    /// <summary>Whether a product of dense matrices is one of few rows whose operands can be read 128 bits at a time.</summary>
    private static bool IsFewRows(int rows, bool transposeA, Tensor a, bool transposeB, Tensor b) =>
        rows <= FewRows.Most && !transposeA && transposeB && a.DataType == DataType.Float32 && a.Shape.Columns > 0 && a.Shape.Columns % 8 == 0
        && b.DataType is DataType.Float32 or DataType.BFloat16 && a.ByteOffset % 16 == 0 && b.ByteOffset % 16 == 0;

    /// <summary>c = alpha · a · bᵀ of few rows; nothing is rounded.</summary>
    private void MultiplyFewRows(Tensor a, Tensor b, int rows, int columns, float alpha, bool accumulate, Tensor c)
    {
        bool half = b.DataType == DataType.BFloat16;
        Kernel<MatMulFewRowsKernels.ProductArguments> kernel = (half, rows) switch
        {
            (true, 1) => MatMulFewRowsKernels.BFloat16Rows1,
            (true, _) => MatMulFewRowsKernels.BFloat16Rows8,
            (false, 1) => MatMulFewRowsKernels.Float32Rows1,
            (false, _) => MatMulFewRowsKernels.Float32Rows8,
        };
        _device.Launch(
            kernel,
            new LaunchShape((columns + MatMulFewRowsKernels.GroupColumns - 1) / MatMulFewRowsKernels.GroupColumns),
            new MatMulFewRowsKernels.ProductArguments(
                Fours(a),
                rows,
                (int)(a.Shape.Columns / 8),
                half ? Memory(b).View<Word4>(b.ByteOffset, b.Shape.Count / 8) : _workspace.View<Word4>(0, 1),
                half ? _workspace.View<Float4>(0, 1) : Fours(b),
                columns,
                alpha,
                accumulate ? 1 : 0,
                Floats(c)));
    }

    /// <summary>Whether the rows of a Float32 tensor are whole, aligned fours.</summary>
    private static bool HasWholeFours(Tensor x) => x.Shape.Columns % 4 == 0 && x.ByteOffset % 16 == 0;

    private static ArrayView<Float4> Fours(Tensor x) => Memory(x).View<Float4>(x.ByteOffset, x.Shape.Count / 4);
}
