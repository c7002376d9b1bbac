using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

/// <summary>Gradients that are sums of 2²⁴, ones and −2²⁴: a float32 sum in a row keeps none of the ones.</summary>
public sealed class LongSumsTests : KernelTest
{
    private const float Large = 1 << 24;

    [Theory]
    [InlineData(new long[] { 64 }, new long[] { 1 })]                   // one run
    [InlineData(new long[] { 65 }, new long[] { 1 })]                   // two
    [InlineData(new long[] { 5, 1000 }, new long[] { 1 })]              // runs of runs of runs
    [InlineData(new long[] { 131, 3 }, new long[] { 3 })]               // a bias
    [InlineData(new long[] { 3, 131 }, new long[] { 3, 1 })]            // a factor a row
    [InlineData(new long[] { 7, 2, 19, 5 }, new long[] { 2, 1, 5 })]
    [InlineData(new long[] { 2, 7, 5, 19 }, new long[] { 2, 1, 5, 1 })]
    public void BinaryBackward_GivenTermsThatFloat32WouldLose_ShouldAddThemAll(long[] shape, long[] repeated)
    {
        (Tensor a, Tensor b) = (Device(Ones(new(shape))), Device(Ones(new(repeated))));
        (Tensor first, Tensor second) = (Device(Ones(b.Shape)), Device(Ones(b.Shape)));
        Tensor dy = Device(Terms(a.Shape, b.Shape));

        Gpu.BinaryBackward(BinaryKind.Multiply, dy, a, b, null, first);
        Gpu.BinaryBackward(BinaryKind.Subtract, dy, b, a, second, null);

        float ones = (a.Shape.Count / b.Shape.Count) - 2;
        Assert.All(first.ToArray(), gradient => Assert.Equal(1 + ones, gradient));
        Assert.All(second.ToArray(), gradient => Assert.Equal(1 + ones, gradient));
    }

    [Theory]
    [InlineData(64, 3)]
    [InlineData(65, 1)]
    [InlineData(4200, 2)]
    public void RmsNormBackward_GivenTermsThatFloat32WouldLose_ShouldAddThemAll(int rows, int width)
    {
        (Tensor x, Tensor weight) = (Device(Ones(new(rows, width))), Device(Ones(new(width))));
        (Tensor dWeight, Tensor rstd) = (Device(Ones(weight.Shape)), Device(Ones(new(rows))));

        Gpu.RmsNormBackward(Device(Terms(x.Shape, weight.Shape)), x, weight, rstd, null, dWeight);

        Assert.All(dWeight.ToArray(), gradient => Assert.Equal(1f + rows - 2, gradient));
    }

    private static Tensor Ones(Shape shape)
    {
        float[] values = new float[shape.Count];
        Array.Fill(values, 1f);
        return Tensor.From(values, shape);
    }

    /// <summary>Ones, but the first term of each sum is 2²⁴ and the last one −2²⁴.</summary>
    private static Tensor Terms(Shape shape, Shape repeated)
    {
        float[] terms = new float[shape.Count];
        Array.Fill(terms, 1f);
        (int[] firsts, int[] lasts) = (new int[repeated.Count], new int[repeated.Count]);
        Array.Fill(firsts, -1);
        for (int i = 0; i < terms.Length; i++)
        {
            (int sum, int stride, int rest) = (0, 1, i);
            for (int axis = 1; axis <= shape.Rank; axis++)
            {
                int extent = axis <= repeated.Rank ? (int)repeated[-axis] : 1;
                sum += extent == 1 ? 0 : rest % extent * stride;
                stride *= extent;
                rest /= (int)shape[-axis];
            }

            firsts[sum] = firsts[sum] < 0 ? i : firsts[sum];
            lasts[sum] = i;
        }

        Array.ForEach(firsts, i => terms[i] = Large);
        Array.ForEach(lasts, i => terms[i] = -Large);
        return Tensor.From(terms, shape);
    }
}
