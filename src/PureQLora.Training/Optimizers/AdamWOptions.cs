using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>Settings of <see cref="AdamW"/>; the defaults are torch's, without decay.</summary>
public sealed record AdamWOptions
{
    /// <summary>Decay of the first moment, in [0, 1).</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the second moment, in [0, 1).</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>Added to the root of the second moment.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Share of a weight that decays in a step, times the learning rate.</summary>
    public double WeightDecay { get; init; }

    /// <summary>Refuses values outside their range.</summary>
    /// <exception cref="UserErrorException">A setting is out of range.</exception>
    public void Validate()
    {
        Require(Beta1 is >= 0 and < 1, "beta1", Beta1, "0 to below 1; 0.9 is usual");
        Require(Beta2 is >= 0 and < 1, "beta2", Beta2, "0 to below 1; 0.999 is usual");
        Require(Epsilon is > 0 and < 1, "epsilon", Epsilon, "above 0 and below 1; 1e-8 is usual");
        Require(WeightDecay is >= 0 and < 10, "weightDecay", WeightDecay, "0 to below 10; 0 and 0.01 are usual");
    }

    private static void Require(bool fulfilled, string name, double value, string allowed)
    {
        if (!fulfilled)
        {
            throw new UserErrorException(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"optimizer.{name} is {value}, allowed {allowed}."));
        }
    }
}
