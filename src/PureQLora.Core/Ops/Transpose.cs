namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="Transpose"/>.</summary>
public interface ITransposeKernels
{
    /// <summary>y = or += x with two dimensions exchanged; Float32.</summary>
    void Transpose(Tensor x, int axis0, int axis1, bool accumulate, Tensor y);
}

/// <summary>Exchanges two dimensions; copies.</summary>
public static class Transpose
{
    /// <summary>Exchanges two dimensions.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">Float32.</param>
    /// <param name="axis0">Negative counts from the end.</param>
    /// <param name="axis1">Negative counts from the end.</param>
    public static Tensor Forward(ComputeScope scope, Tensor x, int axis0, int axis1)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        (axis0, axis1) = (x.Shape.Axis(axis0), x.Shape.Axis(axis1));
        Tensor y = scope.New(x.Shape.With(axis0, x.Shape[axis1]).With(axis1, x.Shape[axis0]));
        scope.Backend.Transpose(x, axis0, axis1, accumulate: false, y);
        if (scope.Tracks(y, x))
        {
            Node node = scope.Record<Node>(y);
            (node.X, node.Axis0, node.Axis1) = (x, axis0, axis1);
        }

        return y;
    }

    private sealed class Node : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public int Axis0 { get; set; }

        public int Axis1 { get; set; }

        public override void Backward(ComputeScope scope) => scope.Backend.Transpose(OutputGrad, Axis0, Axis1, accumulate: true, scope.GradOf(X)!);
    }
}
