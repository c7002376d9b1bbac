using System.Runtime.Intrinsics;

namespace PureQLora.Models.Tests;

public sealed unsafe class BlockUpdateTests
{
    [Theory]
    [InlineData(128)]
    [InlineData(256)]
    [InlineData(512)]
    public void Subtract_GivenAnySizesAndVectors_ShouldHaveTheBitsOfTheSlowSum(int vectorBits)
    {
        if (vectorBits == 512 && !Vector512.IsHardwareAccelerated)
        {
            Assert.Skip("This processor has no AVX-512.");
        }

        foreach ((int rows, int depth, int columns) in new[] { (1, 1, 1), (4, 3, 24), (5, 130, 25), (7, 8, 200), (96, 8, 8), (9, 300, 407) })
        {
            double[] a = Values(rows * depth, 1);
            double[] b = Values(depth * columns, 2);
            double[] plain = Values(rows * columns, 3);
            double[] transposed = [.. plain];
            double[] expected = Slow(plain, a, b, rows, depth, columns);
            double[] aTransposed = new double[a.Length];
            for (int i = 0; i < a.Length; i++)
            {
                aTransposed[(i % depth * rows) + (i / depth)] = a[i];
            }

            fixed (double* c = plain, ct = transposed, left = a, leftTransposed = aTransposed, right = b)
            {
                DoubleMatrix matrix = new(right, columns);
                BlockUpdate.Subtract(vectorBits, new DoubleMatrix(c, columns), new DoubleMatrix(left, depth), matrix, rows, depth, columns);
                BlockUpdate.Subtract(vectorBits, new DoubleMatrix(ct, columns), new DoubleMatrix(leftTransposed, 1, rows), matrix, rows, depth, columns);
            }

            Assert.Equal(expected, plain);
            Assert.Equal(expected, transposed);
        }
    }

    private static double[] Slow(double[] c, double[] a, double[] b, int rows, int depth, int columns)
    {
        double[] result = [.. c];
        for (int row = 0; row < rows; row++)
        {
            for (int column = 0; column < columns; column++)
            {
                for (int k = 0; k < depth; k++)
                {
                    ref double value = ref result[(row * columns) + column];
                    value = Math.FusedMultiplyAdd(-a[(row * depth) + k], b[(k * columns) + column], value);
                }
            }
        }

        return result;
    }

    private static double[] Values(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.NextDouble() - 0.5)];
    }
}
