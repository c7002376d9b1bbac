namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="Unary"/>.</summary>
public interface IUnaryKernels
{
    /// <summary>y = f(x), element by element; Float32, equal counts.</summary>
    void UnaryForward(UnaryKind kind, Tensor x, Tensor y);

    /// <summary>dx += dy · f′(x).</summary>
    /// <param name="kind">f.</param>
    /// <param name="dy">∂loss/∂y.</param>
    /// <param name="x">The input.</param>
    /// <param name="y">f(x), from forward.</param>
    /// <param name="dx">Added to.</param>
    void UnaryBackward(UnaryKind kind, Tensor dy, Tensor x, Tensor y, Tensor dx);
}

/// <summary>Element-wise functions of one Float32 tensor of any shape. NaN gives NaN; infinities give the limit where there is one.</summary>
public static class Unary
{
    /// <summary>y = e^x.</summary>
    public static Tensor Exp(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Exp, x);

    /// <summary>y = ln x; −∞ at 0, NaN below.</summary>
    public static Tensor Log(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Log, x);

    /// <summary>y = √x; the slope at 0 is infinite.</summary>
    public static Tensor Sqrt(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Sqrt, x);

    /// <summary>y = tanh x.</summary>
    public static Tensor Tanh(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Tanh, x);

    /// <summary>y = σ(x) = 1 / (1 + e^−x).</summary>
    public static Tensor Sigmoid(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Sigmoid, x);

    /// <summary>y = x · σ(x).</summary>
    /// <remarks>Hendrycks and Gimpel, arXiv:1606.08415, section 2, where it is called SiLU.</remarks>
    public static Tensor Silu(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Silu, x);

    /// <summary>y = x · Φ(x) = x/2 · (1 + erf(x/√2)), not the tanh approximation.</summary>
    /// <remarks>Hendrycks and Gimpel, arXiv:1606.08415, section 2.</remarks>
    public static Tensor Gelu(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Gelu, x);

    /// <summary>y = x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³))), the approximation that GPT-2 and Gemma were trained with.</summary>
    /// <remarks>Hendrycks and Gimpel, arXiv:1606.08415, section 2.</remarks>
    public static Tensor GeluTanh(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.GeluTanh, x);

    /// <summary>y = max(x, 0); the slope at 0 is 0.</summary>
    public static Tensor Relu(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Relu, x);

    /// <summary>y = −x.</summary>
    public static Tensor Negate(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Negate, x);

    /// <summary>y = x².</summary>
    public static Tensor Square(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Square, x);

    /// <summary>y = |x|; the slope at 0 is 0.</summary>
    public static Tensor Abs(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Abs, x);

    private static Tensor Forward(ComputeScope scope, UnaryKind kind, Tensor x)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        Tensor y = scope.New(x.Shape);
        scope.Backend.UnaryForward(kind, x, y);
        if (scope.Tracks(y, x))
        {
            Node node = scope.Record<Node>(y);
            (node.Kind, node.X) = (kind, x);
        }

        return y;
    }

    private sealed class Node : TapeNode
    {
        public UnaryKind Kind { get; set; }

        public Tensor X { get; set; } = null!;

        public override void Backward(ComputeScope scope) => scope.Backend.UnaryBackward(Kind, OutputGrad, X, Output, scope.GradOf(X)!);
    }
}
