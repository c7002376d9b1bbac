using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary>Gives a result the gradient 1 everywhere, as a loss would, at the cost of writing it.</summary>
internal sealed class SeedNode : TapeNode
{
    /// <summary>The result of the operation that is measured.</summary>
    public Tensor Result { get; set; } = null!;

    /// <inheritdoc/>
    public override void Backward(ComputeScope scope) => scope.Backend.Fill(scope.GradOf(Result)!, 1f);
}
