using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

/// <summary>
/// Against float64 products of the operands rounded to bfloat16, or of few rows as they are, which is all that the kernels round: what is left
/// are float32 sums, hence a tolerance of 1e-5 of the sum of the magnitudes.
/// </summary>
public sealed class QLoraLinearKernelsTests : KernelTest
{
    [Theory]
    [InlineData(4, 32, false, 9, 8, 64, 0, true)]          // the smallest whole groups
    [InlineData(4, 20, true, 9, 9, 70, 3, true)]           // groups that are no whole pieces, in any order, a rank that is no whole step
    [InlineData(8, 32, false, 9, 12, 96, 0, true)]
    [InlineData(4, 32, false, 1, 8, 64, 0, true)]          // few rows
    [InlineData(4, 20, true, 3, 9, 70, 3, true)]
    [InlineData(8, 32, false, 5, 12, 96, 0, true)]
    [InlineData(4, 20, true, 3, 9, 70, 3, false)]
    [InlineData(8, 32, false, 5, 12, 96, 0, false)]
    [FastData(4, 32, false, 130, 131, 96, 5, true)]      // more than one tile
    [FastData(4, 32, true, 10, 40, 128, 40, true)]       // a rank of more than one step
    [FastData(4, -1, false, 11, 5, 33, 0, true)]         // one group a row
    [FastData(3, 32, false, 9, 12, 64, 2, true)]
    [FastData(2, 16, true, 9, 12, 48, 2, true)]
    [FastData(4, 32, true, 7, 40, 128, 40, true)]        // few rows: more than one group of columns
    [FastData(4, -1, false, 2, 5, 33, 0, true)]
    [FastData(3, 32, false, 5, 12, 64, 2, true)]
    [FastData(2, 16, true, 8, 12, 48, 2, true)]
    [FastData(4, 128, false, 1, 131, 2080, 8, true)]     // more pieces than the warps of a group take at a time, more than one panel
    [FastData(4, 128, false, 2, 130, 1056, 0, true)]
    [FastData(8, 128, false, 1, 35, 1056, 8, true)]
    [FastData(8, 48, true, 2, 131, 96, 3, true)]
    [FastData(8, 32, false, 4, 17, 64, 0, true)]
    [FastData(8, 32, false, 8, 16, 64, 0, true)]
    [FastData(4, 32, false, 130, 131, 160, 5, false)]
    [FastData(4, 32, true, 7, 40, 128, 40, false)]
    [FastData(8, 32, false, 5, 130, 96, 4, true)]
    public void QLoraProduct_GivenAnyFormat_ShouldMatchFloat64(
        int bits, int groupSize, bool actOrder, int rows, int outDim, int inDim, int rank, bool transpose)
    {
        using QuantizedMatrix weight = Weight(bits, groupSize, actOrder, outDim, inDim);
        (int inner, int columns) = transpose ? (inDim, outDim) : (outDim, inDim);
        Tensor x = Host(new(rows, inner), 1);
        Tensor? low = rank > 0 ? Host(new(rows, rank), 2) : null;
        Tensor? factor = rank > 0 ? Host(transpose ? new(outDim, rank) : new(rank, inDim), 3) : null;
        Tensor y = Unwritten(new(rows, columns));

        WeightMatrix matrix = new(weight);
        if (low is null)
        {
            Gpu.WeightMatMul(Device(x), matrix, transpose, accumulate: false, y, Precision.BFloat16);
        }
        else
        {
            Gpu.QLoraProduct(Device(x), matrix, transpose, Device(low), Device(factor!), accumulate: false, y, Precision.BFloat16);
        }

        float[] first = y.ToArray();
        Gpu.WeightMatMul(Device(x), matrix, transpose, accumulate: true, y, Precision.BFloat16);
        float[] second = y.ToArray();

        // Products of few rows take weights and x as they are.
        bool rounds = !transpose || rows > 8;
        for (int row = 0; row < rows; row++)
        {
            for (int column = 0; column < columns; column++)
            {
                (double plain, double magnitude) = Dot(rounds, inner, k => x.Floats[(row * inner) + k], k => transpose ? weight[column, k] : weight[k, column]);
                (double term, double more) = low is null ? (0, 0) : Dot(
                    rounds, rank, k => low.Floats[(row * rank) + k], k => transpose ? factor!.Floats[(column * rank) + k] : factor!.Floats[(k * inDim) + column]);
                int at = (row * columns) + column;
                Assert.Equal(plain + term, first[at], 1e-5 * (1 + magnitude + more));
                Assert.Equal((2 * plain) + term, second[at], 2e-5 * (1 + magnitude + more));
            }
        }
    }

#if !ILGPU
    [Theory]
    [InlineData(4, true)]
    [InlineData(4, false)]
    [InlineData(8, true)]
    public void QLoraProduct_GivenWholeTiles_ShouldHaveNoBankConflicts(int bits, bool transpose)
    {
        using QuantizedMatrix weight = Weight(bits, 32, false, 128, 128);
        Tensor y = Unwritten(new(128, 128));

        Gpu.WeightMatMul(Device(Host(new(128, 128), 1)), new WeightMatrix(weight), transpose, accumulate: false, y, Precision.BFloat16);

        Assert.Equal(0, LastLaunch.BankConflicts);
    }
#endif

#if !ILGPU
    /// <remarks>What memory transfers is what the codes, their scales and x hold, and no bank of shared memory answers twice.</remarks>
    [Theory]
    [InlineData(4, 1)]
    [InlineData(4, 8)]
    [InlineData(8, 1)]
    [InlineData(8, 4)]
    public void QLoraProduct_GivenFewRows_ShouldReadWholeSectorsAndHaveNoBankConflicts(int bits, int rows)
    {
        using QuantizedMatrix weight = Weight(bits, 128, false, 128, 1024);
        Tensor y = Unwritten(new(rows, 128));

        Gpu.WeightMatMul(Device(Host(new(rows, 1024), 1)), new WeightMatrix(weight), true, accumulate: false, y, Precision.BFloat16);

        Assert.Equal(LastLaunch.GlobalLoads.Ideal, LastLaunch.GlobalLoads.Transactions);
        Assert.Equal(LastLaunch.GlobalStores.Ideal, LastLaunch.GlobalStores.Transactions);
        Assert.Equal(0, LastLaunch.BankConflicts);

        // Codes once, x and scales once for 16 columns.
        long codes = 128 * 1024 * bits / 8 / 32;
        Assert.InRange(LastLaunch.GlobalLoads.Transactions, codes, codes + (8 * (rows * 1024 * 4 / 32)) + (codes / 2));
    }
#endif

    [Theory]
    [InlineData(4, 20, true, true)]
    [InlineData(8, 32, false, false)]
    [InlineData(3, 24, true, false)]
    public void QLoraProduct_GivenFloat32_ShouldMatchTheCpu(int bits, int groupSize, bool actOrder, bool transpose)
    {
        using QuantizedMatrix weight = Weight(bits, groupSize, actOrder, 9, 70);
        (Tensor x, Tensor low) = (Host(new(3, transpose ? 70 : 9), 1), Host(new(3, 2), 2));
        (Tensor factor, Tensor y) = (Host(transpose ? new(9, 2) : new(2, 70), 3), Host(new(3, transpose ? 9 : 70), 4));
        Tensor gpuY = Device(y);
        Cpu.QLoraProduct(x, new WeightMatrix(weight), transpose, low, factor, accumulate: true, y, Precision.Float32);

        Gpu.QLoraProduct(Device(x), new WeightMatrix(weight), transpose, Device(low), Device(factor), accumulate: true, gpuY, Precision.Float32);

        Close(y, gpuY, 3e-5);
    }

    [Fact]
    public void LinearBias_GivenRows_ShouldMatchTheCpu()
    {
        (Tensor bias, Tensor y, Tensor dBias) = (Host(new(70), 1), Host(new(5, 70), 2), Host(new(70), 3));
        (Tensor gpuY, Tensor gpuDBias) = (Device(y), Device(dBias));
        Cpu.LinearBias(bias, y);
        Cpu.LinearBiasBackward(y, dBias);

        Gpu.LinearBias(Device(bias), gpuY);
        Gpu.LinearBiasBackward(gpuY, gpuDBias);

        Close(y, gpuY);
        Close(dBias, gpuDBias);
    }

    [Fact]
    public void WeightMatMul_GivenInt8Activations_ShouldSayWhatThereIs()
    {
        using QuantizedMatrix weight = Weight(4, 32, false, 8, 64);
        Tensor x = Device(Host(new(1, 64), 1));

        ArgumentException error = Assert.Throws<ArgumentException>(() => Gpu.WeightMatMul(x, new WeightMatrix(weight), true, false, Unwritten(new(1, 8)), Precision.Int8));

        Assert.Contains("bfloat16", error.Message, StringComparison.Ordinal);
    }

    private static (double Sum, double Magnitude) Dot(bool rounds, int count, Func<int, float> left, Func<int, float> right)
    {
        (double sum, double magnitude) = (0, 0);
        for (int k = 0; k < count; k++)
        {
            double product = rounds ? (double)BFloat16.Round(left(k)) * BFloat16.Round(right(k)) : (double)left(k) * right(k);
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
