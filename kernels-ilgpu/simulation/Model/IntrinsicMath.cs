using System.Numerics;

namespace ILGPU;

/// <summary>Functions that every device has an instruction for.</summary>
public static class IntrinsicMath
{
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

    /// <summary>Bits that are set.</summary>
    public static int PopCount(uint value) => BitOperations.PopCount(value);

    /// <summary>Zeros above the highest bit that is set.</summary>
    public static int LeadingZeroCount(uint value) => BitOperations.LeadingZeroCount(value);

    /// <summary>Zeros below the lowest bit that is set.</summary>
    public static int TrailingZeroCount(uint value) => BitOperations.TrailingZeroCount(value);
}
