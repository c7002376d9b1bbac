namespace PureQLora.Core.Tests;

/// <summary>Compares gradients with central differences of a float64 reference: error O(h²), no float32 noise.</summary>
internal static class GradientCheck
{
    /// <param name="parameter">Its Grad is checked.</param>
    /// <param name="loss">The float64 loss as a function of this parameter's values.</param>
    /// <param name="tolerance">Relative to 1 + |expected|: float32 rounding of the sums, and h² of the differences.</param>
    public static void Matches(Tensor parameter, Func<double[], double> loss, double tolerance = 1e-4)
    {
        const double h = 1e-5;
        double[] value = Reference.ToDouble(parameter);
        float[] actual = parameter.Grad!.ToArray();
        for (int i = 0; i < value.Length; i++)
        {
            double saved = value[i];
            value[i] = saved + h;
            double up = loss(value);
            value[i] = saved - h;
            double down = loss(value);
            value[i] = saved;
            double expected = (up - down) / (2 * h);
            Assert.True(Math.Abs(expected - actual[i]) <= tolerance * (1 + Math.Abs(expected)), $"gradient of element {i}: expected {expected:G9}, got {actual[i]:G9}");
        }
    }

    /// <param name="expected">Float64 values.</param>
    /// <param name="actual">What the backend computed.</param>
    /// <param name="tolerance">Relative to 1 + |expected|.</param>
    public static void Close(double[] expected, Tensor actual, double tolerance = 1e-5)
    {
        float[] values = actual.ToArray();
        Assert.Equal(expected.Length, values.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.True(Math.Abs(expected[i] - values[i]) <= tolerance * (1 + Math.Abs(expected[i])), $"element {i}: expected {expected[i]:G9}, got {values[i]:G9}");
        }
    }
}
