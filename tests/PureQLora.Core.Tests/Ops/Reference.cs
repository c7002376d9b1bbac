namespace PureQLora.Core.Tests;

/// <summary>Pieces of the float64 references.</summary>
internal static class Reference
{
    public static double[] ToDouble(Tensor tensor) => Array.ConvertAll(tensor.ToArray(), value => (double)value);

    /// <summary>Irregular weights of both signs, so that no symmetry hides an error.</summary>
    public static double Weight(int i) => ((i * 37) % 11 / 11.0) - 0.4;

    public static double WeightedSum(double[] y) => y.Select((value, i) => value * Weight(i)).Sum();

    /// <summary>Φ(x) to 1e-14: a power series near 0, a continued fraction in the tails.</summary>
    public static double NormalDistribution(double x)
    {
        double z = Math.Abs(x) / Math.Sqrt(2);
        double upper;
        if (z < 2)
        {
            (double term, double sum) = (z, z);
            for (int n = 1; n < 100; n++)
            {
                term *= -z * z / n;
                sum += term / ((2 * n) + 1);
            }

            upper = 0.5 - (sum / Math.Sqrt(Math.PI));
        }
        else
        {
            double fraction = 0;
            for (int k = 200; k > 0; k--)
            {
                fraction = k / 2.0 / (z + fraction);
            }

            upper = 0.5 * Math.Exp(-z * z) / ((z + fraction) * Math.Sqrt(Math.PI));
        }

        return x < 0 ? upper : 1 - upper;
    }
}
