namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="Unary"/>.</summary>
public interface IUnaryKernels
{
    /// <summary>y = f(x).</summary>
    void UnaryForward(UnaryKind kind, Tensor x, Tensor y);

    /// <summary>dx += dy · f′(x); y = f(x) is at hand where f′ follows from it.</summary>
    void UnaryBackward(UnaryKind kind, Tensor dy, Tensor x, Tensor y, Tensor dx);
}

/// <summary>Element-wise functions: y = f(x), Float32, of the shape of x.</summary>
public static class Unary
{
    /// <summary>eˣ</summary>
    public static Tensor Exp(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Exp, x);

    /// <summary>ln x</summary>
    public static Tensor Log(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Log, x);

    /// <summary>√x</summary>
    public static Tensor Sqrt(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Sqrt, x);

    /// <summary>tanh x</summary>
    public static Tensor Tanh(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Tanh, x);

    /// <summary>1 / (1 + e⁻ˣ)</summary>
    public static Tensor Sigmoid(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Sigmoid, x);

    /// <summary>x · sigmoid(x)</summary>
    public static Tensor Silu(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Silu, x);

    /// <summary>x · Φ(x), with the error function.</summary>
    /// <remarks>Hendrycks and Gimpel, arXiv:1606.08415.</remarks>
    public static Tensor Gelu(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Gelu, x);

    /// <summary>GELU by its tanh approximation.</summary>
    public static Tensor GeluTanh(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.GeluTanh, x);

    /// <summary>−x</summary>
    public static Tensor Negate(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Negate, x);

    /// <summary>x²</summary>
    public static Tensor Square(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Square, x);

    /// <summary>|x|</summary>
    public static Tensor Abs(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Abs, x);

    /// <summary>max(x, 0)</summary>
    public static Tensor Relu(ComputeScope scope, Tensor x) => Forward(scope, UnaryKind.Relu, x);

    /// <summary>y = f(x).</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="kind">f.</param>
    /// <param name="x">Float32, any shape.</param>
    public static Tensor Forward(ComputeScope scope, UnaryKind kind, Tensor x)
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
