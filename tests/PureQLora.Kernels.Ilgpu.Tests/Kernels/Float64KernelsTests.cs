using System.Runtime.InteropServices;
using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

public sealed class Float64KernelsTests : KernelTest
{
    /// <remarks>The CPU's sum rounds at the same places: float32 over runs of 128 rows, in another order.</remarks>
    [Theory]
    [InlineData(3, 5)]
    [FastData(130, 70)]      // more than one run, more than one tile
    [FastData(257, 64)]
    public void SymmetricUpdate_GivenRows_ShouldAddTheCpusSumToTheUpperTriangle(int rows, int columns)
    {
        Tensor x = Host(new(rows, columns), 1);
        double[] expected = new double[columns * columns];
        Cpu.SymmetricUpdate(x.Floats, columns, expected);
        using Storage sum = Doubles([.. Enumerable.Repeat(1.0, columns * columns)]);

        Gpu.SymmetricUpdate(Device(x), new Float64Matrix(sum, columns, columns));

        double[] actual = Read(sum);
        for (int row = 0; row < columns; row++)
        {
            for (int column = row; column < columns; column++)
            {
                Assert.Equal(expected[(row * columns) + column] + 1, actual[(row * columns) + column], 1e-6 * rows);
            }
        }
    }

    [Theory]
    [InlineData(3, 5, 4, false, true)]
    [FastData(40, 33, 35, false, false)]
    [FastData(40, 33, 35, true, true)]
    [FastData(33, 17, 40, true, false)]
    public void MultiplyAddFloat64_GivenPartsOfMatrices_ShouldMatchDoublesAndTouchNothingElse(int m, int k, int n, bool transposeA, bool transposeB)
    {
        (int aRows, int aColumns) = transposeA ? (k, m) : (m, k);
        (int bRows, int bColumns) = transposeB ? (n, k) : (k, n);
        double[] a = Random((aRows + 1) * (aColumns + 2), 1);
        double[] b = Random((bRows + 1) * (bColumns + 3), 2);
        double[] c = Random((m + 2) * (n + 1), 3);
        using Storage deviceA = Doubles(a);
        using Storage deviceB = Doubles(b);
        using Storage deviceC = Doubles(c);

        Gpu.MultiplyAddFloat64(
            new Float64Matrix(deviceA, aRows + 1, aColumns + 2).Part(1, aRows, 2, aColumns),
            transposeA,
            new Float64Matrix(deviceB, bRows + 1, bColumns + 3).Part(0, bRows, 3, bColumns),
            transposeB,
            -0.5,
            new Float64Matrix(deviceC, m + 2, n + 1).Part(2, m, 1, n));

        double[] actual = Read(deviceC);
        for (int row = 0; row < m; row++)
        {
            for (int column = 0; column < n; column++)
            {
                double sum = 0;
                for (int i = 0; i < k; i++)
                {
                    (int ar, int ac) = transposeA ? (i, row) : (row, i);
                    (int br, int bc) = transposeB ? (column, i) : (i, column);
                    sum += a[((ar + 1) * (aColumns + 2)) + ac + 2] * b[(br * (bColumns + 3)) + bc + 3];
                }

                int at = ((row + 2) * (n + 1)) + column + 1;
                Assert.Equal(c[at] - (0.5 * sum), actual[at], 1e-13 * k);
                actual[at] = c[at];
            }
        }

        Assert.Equal(c, actual);
    }

    [Fact]
    public void MultiplyAddFloat64_GivenShapesThatDoNotFit_ShouldSaySo()
    {
        using Storage storage = Doubles(new double[12]);

        Assert.Throws<ArgumentException>(() => Gpu.MultiplyAddFloat64(
            new Float64Matrix(storage, 2, 2), false, new Float64Matrix(storage, 3, 2), false, 1, new Float64Matrix(storage, 2, 2)));
        Assert.Throws<ArgumentException>(() => Gpu.SymmetricUpdate(Device(Host(new(2, 3), 1)), new Float64Matrix(storage, 2, 2)));
        Assert.Throws<ArgumentOutOfRangeException>(() => new Float64Matrix(storage, 3, 4).Part(1, 3, 0, 4));
    }

    private static double[] Random(int count, int seed) => Array.ConvertAll(Seeded.Floats(count, seed), value => (double)value);

    private static double[] Read(Storage storage)
    {
        double[] values = new double[storage.ByteLength / sizeof(double)];
        storage.Read(0, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    private Storage Doubles(double[] values)
    {
        Storage storage = Gpu.Allocate(values.Length * sizeof(double));
        storage.Write(0, MemoryMarshal.AsBytes(values.AsSpan()));
        return storage;
    }
}
