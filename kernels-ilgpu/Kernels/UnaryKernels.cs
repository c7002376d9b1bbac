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
            y = 0.5f * x * (1f + Tanh(RootTwoOverPi * (x + (Cubic * x * x * x))));
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
            float tanh = Tanh(RootTwoOverPi * (x + (Cubic * x * x * x)));
            slope = (0.5f * (1f + tanh)) + (0.5f * x * (1f - (tanh * tanh)) * RootTwoOverPi * (1f + (3f * Cubic * x * x)));
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

    /// <summary>The instruction for it has 11 bits.</summary>
    private static float Tanh(float x) => 1f - (2f / (1f + XMath.Exp(2f * x)));

    /// <summary>Φ(x) to 1e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26, of x / √2.</summary>
    private static float NormalDistribution(float x)
    {
        float z = XMath.Abs(x) * 0.7071067812f;
        float t = 1f / (1f + (0.3275911f * z));
        float series = t * (0.254829592f + (t * (-0.284496736f + (t * (1.421413741f + (t * (-1.453152027f + (t * 1.061405429f))))))));
        float upper = 0.5f * series * XMath.Exp(-z * z);
        return x < 0f ? upper : 1f - upper;
    }

    /// <summary>What <see cref="Forward"/> is given; Kind is a <see cref="UnaryKind"/>.</summary>
    public readonly record struct ForwardArguments(int Kind, ArrayView<float> X, int Count, ArrayView<float> Y);

    /// <summary>What <see cref="Backward"/> is given.</summary>
    public readonly record struct BackwardArguments(
        int Kind, ArrayView<float> Dy, ArrayView<float> X, ArrayView<float> Y, int Count, ArrayView<float> Dx);
}
