using ILGPU;
using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend
{
    /// <summary>y = x · Wᵀ, and the adapter's term where there is one, of few rows with a quantised weight; nothing is rounded.</summary>
    private void FewRowsProduct(Tensor x, QuantizedMatrix matrix, Tensor? low, Tensor? factor, bool accumulate, Tensor y, Precision precision)
    {
        DeviceQuantizedMatrix weight = DeviceWeight(matrix);
        (_, _) = (Count(x), Count(y));
        int rows = (int)x.Shape.Rows;
        ArrayView<float> floats = Floats(x);
        bool fours = !weight.IsMapped && HasWholeFours(x);
        _device.Launch(
            FewRowsKernel(weight, precision, rows),
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

    private static Kernel<QLoraLinearFewRowsKernels.ProductArguments> FewRowsKernel(DeviceQuantizedMatrix weight, Precision precision, int rows)
    {
        if (weight.HasBook)
        {
            return Choose(
                rows, QLoraLinearFewRowsKernels.BookRows1, QLoraLinearFewRowsKernels.BookRows2, QLoraLinearFewRowsKernels.BookRows4, QLoraLinearFewRowsKernels.BookRows8);
        }

        if (weight.CodeBits == 8)
        {
            return Choose(
                rows, QLoraLinearFewRowsKernels.Forward8Rows1, QLoraLinearFewRowsKernels.Forward8Rows2, QLoraLinearFewRowsKernels.Forward8Rows4, QLoraLinearFewRowsKernels.Forward8Rows8);
        }

        return precision == Precision.Float32
            ? Choose(
                rows, QLoraLinearFewRowsKernels.Exact4Rows1, QLoraLinearFewRowsKernels.Exact4Rows2, QLoraLinearFewRowsKernels.Exact4Rows4, QLoraLinearFewRowsKernels.Exact4Rows8)
            : Choose(
                rows, QLoraLinearFewRowsKernels.Forward4Rows1, QLoraLinearFewRowsKernels.Forward4Rows2, QLoraLinearFewRowsKernels.Forward4Rows4, QLoraLinearFewRowsKernels.Forward4Rows8);
    }

    private static T Choose<T>(int rows, T one, T two, T four, T eight) => rows switch
    {
        1 => one,
        2 => two,
        <= 4 => four,
        _ => eight,
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
