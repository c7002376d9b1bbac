namespace PureQLora.Core.Tests;

/// <summary>Pieces of the float64 references.</summary>
internal static class Reference
{
    public static double[] ToDouble(Tensor tensor) => Array.ConvertAll(tensor.ToArray(), value => (double)value);

    /// <summary>Irregular weights of both signs, so that no symmetry hides an error.</summary>
    public static double Weight(int i) => ((i * 37) % 11 / 11.0) - 0.4;

    public static double WeightedSum(double[] y) => y.Select((value, i) => value * Weight(i)).Sum();
}
