using System.Numerics;

namespace ILGPU.Algorithms;

/// <summary>Mathematical functions. A GPU approximates some of them; here they are the CPU's.</summary>
public static class XMath
{
    /// <summary>e^value</summary>
    public static float Exp(float value) => MathF.Exp(value);

    /// <summary>2^value</summary>
    public static float Exp2(float value) => float.Exp2(value);

    /// <summary>Natural logarithm.</summary>
    public static float Log(float value) => MathF.Log(value);

    /// <summary>Logarithm to base 2.</summary>
    public static float Log2(float value) => MathF.Log2(value);

    /// <summary>@base^exp</summary>
    public static float Pow(float @base, float exp) => MathF.Pow(@base, exp);

    /// <summary>Square root.</summary>
    public static float Sqrt(float value) => MathF.Sqrt(value);

    /// <summary>1 / √value</summary>
    public static float Rsqrt(float value) => 1f / MathF.Sqrt(value);

    /// <summary>1 / value</summary>
    public static float Rcp(float value) => 1f / value;

    /// <summary>Hyperbolic tangent.</summary>
    public static float Tanh(float value) => MathF.Tanh(value);

    /// <summary>Sine.</summary>
    public static float Sin(float value) => MathF.Sin(value);

    /// <summary>Cosine.</summary>
    public static float Cos(float value) => MathF.Cos(value);

    /// <summary>The largest integer not above the value.</summary>
    public static float Floor(float value) => MathF.Floor(value);

    /// <summary>The smallest integer not below the value.</summary>
    public static float Ceiling(float value) => MathF.Ceiling(value);

    /// <summary>The nearest integer, ties to even.</summary>
    public static float RoundToEven(float value) => MathF.Round(value, MidpointRounding.ToEven);

    /// <summary>Rounded towards zero.</summary>
    public static float Truncate(float value) => MathF.Truncate(value);

    /// <summary>Whether the value is not a number.</summary>
    public static bool IsNaN(float value) => float.IsNaN(value);

    /// <summary>|value|</summary>
    /// <typeparam name="T">A number.</typeparam>
    public static T Abs<T>(T value)
        where T : unmanaged, INumber<T> => T.Abs(value);

    /// <summary>The smaller one.</summary>
    /// <typeparam name="T">A number.</typeparam>
    public static T Min<T>(T first, T second)
        where T : unmanaged, INumber<T> => T.Min(first, second);

    /// <summary>The larger one.</summary>
    /// <typeparam name="T">A number.</typeparam>
    public static T Max<T>(T first, T second)
        where T : unmanaged, INumber<T> => T.Max(first, second);

    /// <summary>The nearest number in [min, max].</summary>
    /// <typeparam name="T">A number.</typeparam>
    public static T Clamp<T>(T value, T min, T max)
        where T : unmanaged, INumber<T> => T.Max(min, T.Min(value, max));

    /// <summary>The quotient, rounded up.</summary>
    public static int DivRoundUp(int numerator, int denominator) => (numerator + denominator - 1) / denominator;
}
