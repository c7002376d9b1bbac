using System.Numerics;
using System.Numerics.Tensors;

namespace PureQLora.Core;

/// <summary>
/// tanh with a small relative error everywhere; TensorPrimitives.Tanh loses the digits of small arguments.
/// </summary>
internal static class HyperbolicTangent
{
    /// <summary>Below it the polynomial is used, above it the exponential.</summary>
    private const float Turn = 0.6f;

    // (tanh x − x) / x³ as a polynomial in x²: interpolated at Chebyshev nodes for x² in [0, 0.36], relative error of tanh 1.1e-8.
    private static readonly float[] Odd = [-0.3333333033245317f, 0.1333291533207664f, -0.05387394496212094f, 0.02111094460727065f, -0.006269102230981078f];

    /// <summary>y = tanh x.</summary>
    /// <param name="x">Any length.</param>
    /// <param name="y">As long as x; may be x.</param>
    /// <param name="scratch">At least twice as long as x.</param>
    public static void Compute(ReadOnlySpan<float> x, Span<float> y, Span<float> scratch)
    {
        Span<float> near = scratch[..x.Length];
        Span<float> far = scratch.Slice(x.Length, x.Length);

        // x + x · z · P(z), z = x².
        TensorPrimitives.Multiply(x, x, far);
        near.Fill(Odd[^1]);
        for (int i = Odd.Length - 2; i >= 0; i--)
        {
            TensorPrimitives.MultiplyAdd(near, far, Odd[i], near);
        }

        TensorPrimitives.Multiply(near, far, near);
        TensorPrimitives.MultiplyAdd(near, x, x, near);

        // ±(1 − 2 / (e^(2|x|) + 1)): infinite exponentials give 1.
        TensorPrimitives.Abs(x, far);
        TensorPrimitives.Multiply(far, 2f, far);
        TensorPrimitives.Exp(far, far);
        TensorPrimitives.Add(far, 1f, far);
        TensorPrimitives.Divide(2f, far, far);
        TensorPrimitives.Subtract(1f, far, far);
        TensorPrimitives.CopySign(far, x, far);
        Select(x, near, far, y);
    }

    private static void Select(ReadOnlySpan<float> x, ReadOnlySpan<float> near, ReadOnlySpan<float> far, Span<float> y)
    {
        int i = 0;
        for (; i <= x.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector<int> small = Vector.LessThan(Vector.Abs(new Vector<float>(x[i..])), new Vector<float>(Turn));
            Vector.ConditionalSelect(small, new Vector<float>(near[i..]), new Vector<float>(far[i..])).CopyTo(y[i..]);
        }

        for (; i < x.Length; i++)
        {
            y[i] = MathF.Abs(x[i]) < Turn ? near[i] : far[i];
        }
    }
}
