namespace PureQLora.Core;

/// <summary>One recorded operation: what its backward needs. Nodes are recycled by the tape, so a node keeps no state between passes.</summary>
public abstract class TapeNode
{
    /// <summary>The result whose gradient starts this node's backward.</summary>
    public Tensor Output { get; internal set; } = null!;

    /// <summary>The next node, of another type, that waits at the same position of the tape.</summary>
    internal TapeNode? Spare { get; set; }

    /// <summary>Gradient of <see cref="Output"/>; not null while <see cref="Backward"/> runs.</summary>
    protected Tensor OutputGrad => Output.Grad!;

    /// <summary>Adds this operation's share to the gradients of its inputs (<see cref="ComputeScope.GradOf"/>).</summary>
    public abstract void Backward(ComputeScope scope);
}
