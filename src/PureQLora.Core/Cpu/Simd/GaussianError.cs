using System.Numerics;
using System.Numerics.Tensors;

namespace PureQLora.Core;

/// <summary>The normal distribution function and what GELU needs of it, in whole-span passes over blocks that fit the cache.</summary>
internal static class GaussianError
{
    /// <summary>√(2/π).</summary>
    private const float TanhScale = 0.7978845608f;

    /// <summary>Weight of x³ in the tanh approximation of GELU.</summary>
    private const float TanhCubic = 0.044715f;

    // e^(z²) · erfc(z) = t · P(t), t = 1 / (1 + 0.3·z): interpolated at Chebyshev nodes for z in [0, 10], relative error 2.5e-8.
    private static readonly float[] Complement =
    [
        0.1691730576514038f, 0.1709491199512587f, 0.14679602216640034f, 0.22053916917348296f, -0.10698336261842431f,
        0.5645142423309869f, -0.526151662962982f, 0.49193427061625944f, -0.13077087727921982f,
    ];

    /// <summary>Φ(x) = erfc(−x/√2) / 2, with a relative error of a few 1e-6 on both sides, so that x·Φ(x) keeps its digits in the tail.</summary>
    /// <param name="x">At most 512 elements.</param>
    /// <param name="phi">As long as x.</param>
    /// <param name="scratch">At least twice as long as x.</param>
    public static void Distribution(ReadOnlySpan<float> x, Span<float> phi, Span<float> scratch)
    {
        Span<float> t = scratch[..x.Length];
        Span<float> z = scratch.Slice(x.Length, x.Length);
        TensorPrimitives.Abs(x, z);
        TensorPrimitives.Multiply(z, 0.70710678f, z);
        TensorPrimitives.Multiply(z, 0.3f, t);
        TensorPrimitives.Add(t, 1f, t);
        TensorPrimitives.Divide(1f, t, t);

        // Horner's scheme; the last multiplication by t is that in front of P.
        phi.Fill(Complement[^1]);
        for (int k = Complement.Length - 2; k >= 0; k--)
        {
            TensorPrimitives.MultiplyAdd(phi, t, Complement[k], phi);
        }

        TensorPrimitives.Multiply(phi, t, phi);

        // e^(−x²/2), from x itself: squaring the rounded z would cost digits.
        TensorPrimitives.Multiply(x, x, z);
        TensorPrimitives.Multiply(z, -0.5f, z);
        TensorPrimitives.Exp(z, z);
        TensorPrimitives.Multiply(phi, z, phi);
        TensorPrimitives.Multiply(phi, 0.5f, phi);

        // phi is now the lighter tail, Φ(−|x|); x > 0 wants the other one: 1/2 + sign · (1/2 − tail).
        TensorPrimitives.Subtract(0.5f, phi, z);
        TensorPrimitives.CopySign(z, x, z);
        TensorPrimitives.Add(z, 0.5f, z);
        int i = 0;
        for (; i <= x.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector<int> below = Vector.LessThan(new Vector<float>(x[i..]), Vector<float>.Zero);
            Vector.ConditionalSelect(below, new Vector<float>(phi[i..]), new Vector<float>(z[i..])).CopyTo(phi[i..]);
        }

        for (; i < x.Length; i++)
        {
            phi[i] = x[i] < 0f ? phi[i] : z[i];
        }
    }

    /// <summary>d/dx x·Φ(x) = Φ(x) + x·φ(x), φ(x) = e^(−x²/2) / √(2π).</summary>
    public static void GeluSlope(ReadOnlySpan<float> x, Span<float> slope, Span<float> scratch)
    {
        Distribution(x, slope, scratch);
        Span<float> density = scratch[..x.Length];
        TensorPrimitives.Multiply(x, x, density);
        TensorPrimitives.Multiply(density, -0.5f, density);
        TensorPrimitives.Exp(density, density);
        TensorPrimitives.Multiply(density, 0.3989422804f, density);
        TensorPrimitives.MultiplyAdd(density, x, slope, slope);
    }

    /// <summary>√(2/π) · (x + 0.044715·x³).</summary>
    public static void TanhArgument(ReadOnlySpan<float> x, Span<float> argument)
    {
        TensorPrimitives.Multiply(x, x, argument);
        TensorPrimitives.Multiply(argument, TanhScale * TanhCubic, argument);
        TensorPrimitives.Add(argument, TanhScale, argument);
        TensorPrimitives.Multiply(argument, x, argument);
    }

    /// <summary>(1 + tanh u)/2 + x/2 · (1 − tanh² u) · u′, u as in <see cref="TanhArgument"/>.</summary>
    /// <param name="x">Any length.</param>
    /// <param name="slope">As long as x.</param>
    /// <param name="scratch">At least four times as long as x.</param>
    public static void GeluTanhSlope(ReadOnlySpan<float> x, Span<float> slope, Span<float> scratch)
    {
        Span<float> tanh = scratch[..x.Length];
        Span<float> inner = scratch.Slice(x.Length, x.Length);
        TanhArgument(x, tanh);
        HyperbolicTangent.Compute(tanh, tanh, scratch[(2 * x.Length)..]);
        TensorPrimitives.Multiply(x, x, inner);
        TensorPrimitives.Multiply(inner, 3f * TanhScale * TanhCubic, inner);
        TensorPrimitives.Add(inner, TanhScale, inner);
        TensorPrimitives.Multiply(inner, x, inner);
        TensorPrimitives.Multiply(tanh, tanh, slope);
        TensorPrimitives.Subtract(1f, slope, slope);
        TensorPrimitives.Multiply(slope, inner, slope);
        TensorPrimitives.Add(slope, tanh, slope);
        TensorPrimitives.Add(slope, 1f, slope);
        TensorPrimitives.Multiply(slope, 0.5f, slope);
    }
}
