namespace PureQLora.Core;

/// <summary>
/// Runs a block without keeping its intermediate tensors, and runs it again in backward: memory for time. The second run sees the
/// same random state, so dropout repeats.
/// </summary>
/// <remarks>Chen et al., arXiv:1604.06174.</remarks>
public static class Checkpoint
{
    private const long FloatsOfALine = CpuStorage.Alignment / sizeof(float);

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
        Tensor inside = Run(scope, x, state, block, resultUnread: false);
        bool requiresGrad = inside.RequiresGrad;
        Tensor y = scope.Rewind(mark, inside);
        Record(scope, x, state, block, counter, rowsAtOnce: 0, y, requiresGrad);
        return y;
    }

    /// <summary>
    /// y = block(x) for a block that treats every row by itself and keeps its shape: some rows pass through it at a time, so its
    /// intermediate tensors exist for no more than those.
    /// </summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">[…, width]</param>
    /// <param name="state">As in <see cref="Forward"/>.</param>
    /// <param name="block">[rows, width] → [rows, width], all rows with the same operations.</param>
    /// <param name="rowsAtOnce">Most rows that pass through it at a time; all turns have about as many.</param>
    /// <param name="endsBlock">
    /// True where y is the result of a block that is itself checkpointed: the block's second run then leaves this part to backward
    /// (<see cref="ComputeScope.ResultUnread"/>), and it runs twice in all, not three times.
    /// </param>
    /// <typeparam name="TState">A small struct or tuple.</typeparam>
    /// <returns>[…, width]</returns>
    /// <exception cref="ArgumentException">The block gives another shape.</exception>
    public static Tensor ForwardRows<TState>(ComputeScope scope, Tensor x, TState state, Block<TState> block, long rowsAtOnce, bool endsBlock = false)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(block);
        ArgumentOutOfRangeException.ThrowIfLessThan(rowsAtOnce, 1);
        if (x.Shape.Rows <= rowsAtOnce && !scope.RecordsGradients)
        {
            return block(scope, x, state);
        }

        ulong counter = scope.Random.Counter;
        rowsAtOnce = EvenParts(x.Shape.Rows, rowsAtOnce);
        if (endsBlock && scope.ResultUnread)
        {
            // A place for the gradient; that one is required is why there is a second run.
            Tensor unread = scope.View(x, x.Shape);
            Record(scope, x, state, block, counter, rowsAtOnce, unread, requiresGrad: true);
            return unread;
        }

        Tensor y = scope.New(x.Shape);                                       // […, width]
        bool requiresGrad = false;
        for (long start = 0; start < x.Shape.Rows; start += rowsAtOnce)
        {
            ComputeScope.Position mark = scope.Mark();
            Tensor part = Rows(scope, x, start, rowsAtOnce);                 // [rows, width]
            part.RequiresGrad = x.RequiresGrad;
            Tensor inside = Run(scope, part, state, block, resultUnread: false);
            if (inside.Shape != part.Shape || inside.DataType != y.DataType)
            {
                throw new ArgumentException($"The block makes {inside} of {part}; rows keep their shape here, use Forward instead.", nameof(block));
            }

            requiresGrad |= inside.RequiresGrad;
            Tensor target = Rows(scope, y, start, rowsAtOnce);
            scope.Backend.Move(inside.Storage, inside.ByteOffset, target.Storage, target.ByteOffset, inside.ByteLength);
            scope.Rewind(mark);
        }

        Record(scope, x, state, block, counter, rowsAtOnce, y, requiresGrad);
        return y;
    }

    private static Tensor Run<TState>(ComputeScope scope, Tensor x, TState state, Block<TState> block, bool resultUnread)
    {
        bool outer = scope.ResultUnread;
        scope.ResultUnread = resultUnread;
        Tensor y = block(scope, x, state);
        scope.ResultUnread = outer;
        return y;
    }

    private static void Record<TState>(
        ComputeScope scope, Tensor x, TState state, Block<TState> block, ulong counter, long rowsAtOnce, Tensor y, bool requiresGrad)
    {
        y.RequiresGrad = requiresGrad;
        if (requiresGrad)
        {
            Node<TState> node = scope.Record<Node<TState>>(y);
            (node.X, node.State, node.Block, node.Counter, node.RowsAtOnce) = (x, state, block, counter, rowsAtOnce);
        }
    }

    /// <summary>Rows of each of the fewest parts, so that the last is not a few rows left over; parts of any width start on a cache line.</summary>
    private static long EvenParts(long rows, long most)
    {
        long parts = Math.Max(1, (rows + most - 1) / most);
        long even = (rows + parts - 1) / parts;
        return (even + FloatsOfALine - 1) / FloatsOfALine * FloatsOfALine;
    }

    /// <summary>At most <paramref name="count"/> rows as a matrix.</summary>
    private static Tensor Rows(ComputeScope scope, Tensor x, long start, long count)
    {
        Tensor matrix = scope.View(x, new Shape(x.Shape.Rows, x.Shape.Columns));
        return scope.ViewRows(matrix, start, Math.Min(count, x.Shape.Rows - start));
    }

    private sealed class Node<TState> : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public TState State { get; set; } = default!;

        public Block<TState> Block { get; set; } = null!;

        public ulong Counter { get; set; }

        /// <summary>0: all of x as it is.</summary>
        public long RowsAtOnce { get; set; }

        public override void Backward(ComputeScope scope)
        {
            (ulong counter, bool records) = (scope.Random.Counter, scope.RecordsGradients);
            (scope.Random.Counter, scope.RecordsGradients) = (Counter, true);

            // Nobody needs the result's gradient after this; in its place the input's takes no memory of its own, block after block.
            bool inPlace = X is { RequiresGrad: true, Grad: null } && X.Shape == OutputGrad.Shape;
            Tensor? dx = inPlace ? null : scope.GradOf(X);
            long step = RowsAtOnce == 0 ? X.Shape.Rows : RowsAtOnce;
            for (long start = 0; start < X.Shape.Rows; start += step)
            {
                Rerun(scope, start, dx);
            }

            if (inPlace)
            {
                scope.HandOnGrad(OutputGrad, X);
            }

            (scope.Random.Counter, scope.RecordsGradients) = (counter, records);
        }

        /// <summary>Runs the block again, and backward over it.</summary>
        /// <param name="scope">The pass.</param>
        /// <param name="start">First row.</param>
        /// <param name="dx">What the gradient of the input is added to; null where none is required, or where it replaces the result's.</param>
        private void Rerun(ComputeScope scope, long start, Tensor? dx)
        {
            ComputeScope.Position mark = scope.BeginRerun();
            (Tensor x, Tensor dy) = (Part(scope, X, start), Part(scope, OutputGrad, start));
            (x.RequiresGrad, x.Grad) = (X.RequiresGrad, dx is null ? null : Part(scope, dx, start));
            Tensor y = Run(scope, x, State, Block, resultUnread: true);
            if (y.Grad is null)
            {
                y.Grad = dy;
            }
            else
            {
                // The block handed on its input or a parameter, which has a gradient already.
                scope.Backend.AddScaled(dy, 1f, y.Grad);
            }

            scope.BackwardTo(mark);
            if (dx is null && x.RequiresGrad)
            {
                Replace(scope, dy, x.Grad);
            }

            scope.EndRerun(mark);
        }

        private Tensor Part(ComputeScope scope, Tensor tensor, long start) =>
            RowsAtOnce == 0 ? scope.View(tensor, tensor.Shape) : Rows(scope, tensor, start, RowsAtOnce);

        private static void Replace(ComputeScope scope, Tensor dy, Tensor? dx)
        {
            if (dx is null)
            {
                scope.Backend.Zero(dy);
            }
            else if (dx.Storage != dy.Storage || dx.ByteOffset != dy.ByteOffset)
            {
                scope.Backend.Move(dx.Storage, dx.ByteOffset, dy.Storage, dy.ByteOffset, dy.ByteLength);
            }
        }
    }
}
