namespace PureQLora.Core;

/// <summary>
/// Runs a block without keeping its intermediate tensors, and runs it again in backward: memory for time. The second run sees the
/// same random state, so dropout repeats.
/// </summary>
/// <remarks>Chen et al., arXiv:1604.06174.</remarks>
public static class Checkpoint
{
    /// <summary>The block: (scope, x, state) → y. Use a static lambda, so that nothing is allocated.</summary>
    /// <typeparam name="TState">What the block needs besides x.</typeparam>
    public delegate Tensor Block<TState>(ComputeScope scope, Tensor x, TState state);

    /// <summary>y = block(x).</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">The only input that is an intermediate tensor; parameters may be in <paramref name="state"/>.</param>
    /// <param name="state">
    /// What the block needs besides x; kept until backward. Constants and parameters only: an intermediate tensor that requires a
    /// gradient would have it made inside the second run and lose it, so backward refuses that.
    /// </param>
    /// <param name="block">The computation; it must do the same both times.</param>
    /// <typeparam name="TState">A small struct or tuple.</typeparam>
    public static Tensor Forward<TState>(ComputeScope scope, Tensor x, TState state, Block<TState> block)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(block);
        ulong counter = scope.Random.Counter;
        ComputeScope.Position mark = scope.Mark();

        // Recorded although the nodes are dropped: only so is it known whether anything inside requires a gradient.
        Tensor inside = block(scope, x, state);
        bool requiresGrad = inside.RequiresGrad;
        Tensor y = scope.Rewind(mark, inside);
        y.RequiresGrad = requiresGrad;
        if (requiresGrad)
        {
            Node<TState> node = scope.Record<Node<TState>>(y);
            (node.X, node.State, node.Block, node.Counter) = (x, state, block, counter);
        }

        return y;
    }

    private sealed class Node<TState> : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public TState State { get; set; } = default!;

        public Block<TState> Block { get; set; } = null!;

        public ulong Counter { get; set; }

        public override void Backward(ComputeScope scope)
        {
            // Before the mark: the input's gradient outlives the second run.
            ComputeScope.Position before = scope.Mark();
            bool first = X is { RequiresGrad: true, Grad: null };
            Tensor? dx = scope.GradOf(X);
            ulong counter = scope.Random.Counter;
            bool records = scope.RecordsGradients;
            scope.Random.Counter = Counter;
            scope.RecordsGradients = true;
            ComputeScope.Position mark = scope.BeginRerun();
            Tensor y = Block(scope, X, State);
            if (y.Grad is null)
            {
                y.Grad = OutputGrad;
            }
            else
            {
                // The block handed on its input or a parameter, which has a gradient already.
                scope.Backend.AddScaled(OutputGrad, 1f, y.Grad);
            }

            scope.EndRerun(mark);
            if (first && dx!.Shape == OutputGrad.Shape)
            {
                // Nobody needs the result's gradient any more; in its place the input's takes no memory of its own, block after block.
                scope.Backend.Move(dx.Storage, dx.ByteOffset, OutputGrad.Storage, OutputGrad.ByteOffset, dx.ByteLength);
                scope.Rewind(before);
                X.Grad = OutputGrad;
            }

            scope.RecordsGradients = records;
            scope.Random.Counter = counter;
        }
    }
}
