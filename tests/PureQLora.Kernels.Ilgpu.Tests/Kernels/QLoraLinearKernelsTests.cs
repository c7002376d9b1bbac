using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

/// <summary>
/// Against float64 products of the operands rounded to bfloat16, which is all that the kernels round: what is left are float32 sums, hence a
/// tolerance of 1e-5 of the sum of the magnitudes.
/// </summary>
public sealed class QLoraLinearKernelsTests : KernelTest
{
    [Theory]
    [InlineData(4, 32, false, 5, 8, 64, 0, true)]          // the smallest whole groups
    [InlineData(4, 20, true, 3, 9, 70, 3, true)]           // groups that are no whole pieces, in any order, a rank that is no whole step
    [InlineData(8, 32, false, 5, 12, 96, 0, true)]
    [InlineData(4, 20, true, 3, 9, 70, 3, false)]
    [InlineData(8, 32, false, 5, 12, 96, 0, false)]
#if !ILGPU
    [InlineData(4, 32, false, 130, 131, 96, 5, true)]      // more than one tile
    [InlineData(4, 32, true, 7, 40, 128, 40, true)]        // a rank of more than one step
    [InlineData(4, -1, false, 2, 5, 33, 0, true)]          // one group a row
    [InlineData(3, 32, false, 5, 12, 64, 2, true)]
    [InlineData(2, 16, true, 5, 12, 48, 2, true)]
    [InlineData(4, 32, false, 130, 131, 160, 5, false)]
    [InlineData(4, 32, true, 7, 40, 128, 40, false)]
    [InlineData(8, 32, false, 5, 130, 96, 4, true)]
#endif
    public void QuantizedProduct_GivenAnyFormat_ShouldMatchFloat64(
        int bits, int groupSize, bool actOrder, int rows, int outDim, int inDim, int rank, bool transpose)
    {
        using QuantizedMatrix weight = Weight(bits, groupSize, actOrder, outDim, inDim);
        (int inner, int columns) = transpose ? (inDim, outDim) : (outDim, inDim);
        Tensor x = Host(new(rows, inner), 1);
        Tensor? low = rank > 0 ? Host(new(rows, rank), 2) : null;
        Tensor? factor = rank > 0 ? Host(transpose ? new(outDim, rank) : new(rank, inDim), 3) : null;
        Tensor y = Unwritten(new(rows, columns));

        Gpu.QuantizedProduct(Device(x), weight, transpose, low is null ? null : Device(low), factor is null ? null : Device(factor), accumulate: false, y);
        float[] first = y.ToArray();
        Gpu.QuantizedProduct(Device(x), weight, transpose, null, null, accumulate: true, y);
        float[] second = y.ToArray();

        for (int row = 0; row < rows; row++)
        {
            for (int column = 0; column < columns; column++)
            {
                (double plain, double magnitude) = Dot(inner, k => x.Floats[(row * inner) + k], k => transpose ? weight[column, k] : weight[k, column]);
                (double term, double more) = low is null ? (0, 0) : Dot(
                    rank, k => low.Floats[(row * rank) + k], k => transpose ? factor!.Floats[(column * rank) + k] : factor!.Floats[(k * inDim) + column]);
                int at = (row * columns) + column;
                Assert.Equal(plain + term, first[at], 1e-5 * (1 + magnitude + more));
                Assert.Equal((2 * plain) + term, second[at], 2e-5 * (1 + magnitude + more));
            }
        }
    }

    private static (double Sum, double Magnitude) Dot(int count, Func<int, float> left, Func<int, float> right)
    {
        (double sum, double magnitude) = (0, 0);
        for (int k = 0; k < count; k++)
        {
            double product = (double)BFloat16.Round(left(k)) * BFloat16.Round(right(k));
            sum += product;
            magnitude += Math.Abs(product);
        }

        return (sum, magnitude);
    }

    private static QuantizedMatrix Weight(int bits, int groupSize, bool actOrder, int outDim, int inDim)
    {
        Random random = new(bits + outDim);
        int size = groupSize < 0 ? inDim : groupSize;
        int groups = (inDim + size - 1) / size;
        byte[] codes = [.. Enumerable.Range(0, outDim * inDim).Select(_ => (byte)random.Next(1 << bits))];
        float[] scales = [.. Enumerable.Range(0, outDim * groups).Select(_ => 0.01f + random.NextSingle())];
        byte[] zeros = [.. Enumerable.Range(0, outDim * groups).Select(_ => (byte)random.Next(1 << bits))];
        int[] groupIndex = actOrder ? [.. Enumerable.Range(0, inDim).Select(column => column * 7 % inDim / size)] : [];
        return QuantizedMatrix.FromCodes(outDim, inDim, bits, groupSize, codes, scales, zeros, groupIndex);
    }
}
