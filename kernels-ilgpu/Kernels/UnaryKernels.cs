using ILGPU;
using ILGPU.Algorithms;
using PureQLora.Core;

namespace PureQLora.Kernels;

/// <summary>Functions of one variable, one element a thread. All threads take the same branch, and wait for memory anyway.</summary>
public static class UnaryKernels
{
    /// <summary>y = f(x).</summary>
    public static readonly Kernel<ForwardArguments> Forward = new(RunForward, groupSize: 256);

    /// <summary>dx += dy · f′(x).</summary>
    public static readonly Kernel<BackwardArguments> Backward = new(RunBackward, groupSize: 256);

    private const float RootTwoOverPi = 0.7978845608f;
    private const float Cubic = 0.044715f;

    private static void RunForward(ForwardArguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < arguments.Count)
        {
            ArrayView<float> y = arguments.Y;
            y[i] = Value(arguments.Kind, arguments.X[i]);
        }
    }

    private static void RunBackward(BackwardArguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < arguments.Count)
        {
            ArrayView<float> dx = arguments.Dx;
            dx[i] += arguments.Dy[i] * Slope(arguments.Kind, arguments.X[i], arguments.Y[i]);
        }
    }

    /// <summary>An if for each function: a switch would become a jump to an address from a table.</summary>
    private static float Value(int kind, float x)
    {
        float y = XMath.Abs(x);
        if (kind == (int)UnaryKind.Exp)
        {
            y = XMath.Exp(x);
        }
        else if (kind == (int)UnaryKind.Log)
        {
            y = XMath.Log(x);
        }
        else if (kind == (int)UnaryKind.Sqrt)
        {
            y = XMath.Sqrt(x);
        }
        else if (kind == (int)UnaryKind.Tanh)
        {
            y = Tanh(x);
        }
        else if (kind == (int)UnaryKind.Sigmoid)
        {
            y = Sigmoid(x);
        }
        else if (kind == (int)UnaryKind.Silu)
        {
            y = x / (1f + XMath.Exp(-x));
        }
        else if (kind == (int)UnaryKind.Gelu)
        {
            y = x * NormalDistribution(x);
        }
        else if (kind == (int)UnaryKind.GeluTanh)
        {
            y = x * Sigmoid(SigmoidArgument(x));
        }
        else if (kind == (int)UnaryKind.Relu)
        {
            y = x < 0f ? 0f : x;
        }
        else if (kind == (int)UnaryKind.Negate)
        {
            y = -x;
        }
        else if (kind == (int)UnaryKind.Square)
        {
            y = x * x;
        }

        return y;
    }

    private static float Slope(int kind, float x, float y)
    {
        float slope = x > 0f ? 1f : (x < 0f ? -1f : 0f);
        if (kind == (int)UnaryKind.Exp)
        {
            slope = y;
        }
        else if (kind == (int)UnaryKind.Log)
        {
            slope = 1f / x;
        }
        else if (kind == (int)UnaryKind.Sqrt)
        {
            slope = 0.5f / y;
        }
        else if (kind == (int)UnaryKind.Tanh)
        {
            slope = 1f - (y * y);
        }
        else if (kind == (int)UnaryKind.Sigmoid)
        {
            slope = y * (1f - y);
        }
        else if (kind == (int)UnaryKind.Silu)
        {
            float sigmoid = Sigmoid(x);
            slope = sigmoid * (1f + (x * (1f - sigmoid)));
        }
        else if (kind == (int)UnaryKind.Gelu)
        {
            slope = NormalDistribution(x) + (x * 0.3989422804f * XMath.Exp(-0.5f * x * x));
        }
        else if (kind == (int)UnaryKind.GeluTanh)
        {
            float sigmoid = Sigmoid(SigmoidArgument(x));
            slope = sigmoid * (1f + (x * (1f - sigmoid) * 2f * RootTwoOverPi * (1f + (3f * Cubic * x * x))));
        }
        else if (kind == (int)UnaryKind.Relu)
        {
            slope = x > 0f ? 1f : 0f;
        }
        else if (kind == (int)UnaryKind.Negate)
        {
            slope = -1f;
        }
        else if (kind == (int)UnaryKind.Square)
        {
            slope = 2f * x;
        }

        return slope;
    }

    private static float Sigmoid(float x) => 1f / (1f + XMath.Exp(-x));

    /// <summary>2u with u = √(2/π) · (x + 0.044715 · x³), for (1 + tanh u) / 2 is the sigmoid of 2u, which does not cancel where tanh u is near −1.</summary>
    private static float SigmoidArgument(float x) => 2f * RootTwoOverPi * (x + (Cubic * x * x * x));

    /// <summary>
    /// The instruction for it has 11 bits, and the exponentials cancel near 0. There it is x + x³ · P(x²), P interpolated at Chebyshev nodes for
    /// |x| ≤ 0.6 to a relative error of 1.1e-8.
    /// </summary>
    private static float Tanh(float x)
    {
        float magnitude = XMath.Abs(x);
        float far = 1f - (2f / (1f + XMath.Exp(2f * magnitude)));
        float z = x * x;
        float series = -0.3333333033f + (z * (0.1333291533f + (z * (-0.05387394496f + (z * (0.02111094461f + (z * -0.006269102230f)))))));
        float near = x + (x * (z * series));
        return magnitude < 0.6f ? near : (x < 0f ? -far : far);
    }

    /// <summary>
    /// Φ(x) = erfc(−x/√2) / 2 with a relative error of a few 1e-6 on both sides: e^(z²) · erfc(z) = t · P(t), t = 1 / (1 + 0.3z), interpolated at
    /// Chebyshev nodes for z in [0, 10] to a relative error of 2.5e-8.
    /// </summary>
    private static float NormalDistribution(float x)
    {
        float t = 1f / (1f + (0.3f * 0.7071067812f * XMath.Abs(x)));
        float high = 0.5645142423f + (t * (-0.5261516630f + (t * (0.4919342706f + (t * -0.1307708773f)))));
        float series = t * (0.1691730577f + (t * (0.1709491200f + (t * (0.1467960222f + (t * (0.2205391692f + (t * (-0.1069833626f + (t * high))))))))));
        float tail = 0.5f * series * XMath.Exp(-0.5f * x * x);
        return x < 0f ? tail : 1f - tail;
    }

    /// <summary>What <see cref="Forward"/> is given; Kind is a <see cref="UnaryKind"/>.</summary>
    public readonly record struct ForwardArguments(int Kind, ArrayView<float> X, int Count, ArrayView<float> Y);

    /// <summary>What <see cref="Backward"/> is given.</summary>
    public readonly record struct BackwardArguments(
        int Kind, ArrayView<float> Dy, ArrayView<float> X, ArrayView<float> Y, int Count, ArrayView<float> Dx);
}
