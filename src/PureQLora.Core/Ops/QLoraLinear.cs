namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="QLoraLinear"/> besides matrix products.</summary>
public interface IQLoraLinearKernels
{
    /// <summary>y += bias, row by row.</summary>
    /// <param name="bias">[outDim]</param>
    /// <param name="y">[…, outDim]</param>
    void LinearBias(Tensor bias, Tensor y);

    /// <summary>dBias += Σ over rows of dy.</summary>
    /// <param name="dy">[…, outDim]</param>
    /// <param name="dBias">[outDim]</param>
    void LinearBiasBackward(Tensor dy, Tensor dBias);

    /// <summary>
    /// y = x · Wᵀ + low · factorᵀ (forward, with B), or y = x · W + low · factor (input gradient, with A); or y += that where
    /// <paramref name="accumulate"/>. One pass over y instead of two.
    /// </summary>
    /// <param name="x">[…, inDim] if <paramref name="transpose"/>, else […, outDim].</param>
    /// <param name="weight">[outDim, inDim]</param>
    /// <param name="transpose">True for the forward product.</param>
    /// <param name="low">[…, rank], scaled.</param>
    /// <param name="factor">B [outDim, rank] if <paramref name="transpose"/>, else A [rank, inDim].</param>
    /// <param name="accumulate">Add to y instead of writing it.</param>
    /// <param name="y">[…, outDim] if <paramref name="transpose"/>, else […, inDim]; Float32.</param>
    /// <param name="precision">Rounding of all operands.</param>
    void QLoraProduct(Tensor x, WeightMatrix weight, bool transpose, Tensor low, Tensor factor, bool accumulate, Tensor y, Precision precision);
}

/// <summary>
/// A linear layer over a dense or quantised weight with an optional low-rank adapter:
/// y = x · Wᵀ + bias + (s · pool(dropout(x)) · Aᵀ) · Bᵀ.
/// </summary>
/// <remarks>
/// Dettmers et al., arXiv:2305.14314, eq. 5. A quantised weight is dequantised inside the product, never as a whole; of it only the scales
/// may be trained (<see cref="WeightMatrix.Scales"/>).
/// Dropout acts on the adapter's input only, and only in a pass that records gradients. Offsets of a quantised weight
/// (<see cref="WeightMatrix.Offsets"/>) see the sums of the input over each group, as one product of their own.
/// </remarks>
public static class QLoraLinear
{
    /// <summary>Applies the layer to every row of x.</summary>
    /// <param name="scope">The pass; its precision rounds the operands of all products, its random state chooses the dropout mask.</param>
    /// <param name="x">[…, inDim], Float32.</param>
    /// <param name="weight">[outDim, inDim]</param>
    /// <param name="bias">[outDim], Float32, or null.</param>
    /// <param name="adapter">The low-rank branch, or null.</param>
    /// <param name="endsBlock">True where y is read as the result of a checkpointed block only (<see cref="ComputeScope.ResultUnread"/>).</param>
    /// <returns>[…, outDim]</returns>
    /// <exception cref="ArgumentException">The shapes do not fit, or the dropout is not in [0, 1).</exception>
    public static Tensor Forward(
        ComputeScope scope, Tensor x, WeightMatrix weight, Tensor? bias = null, LoraBranch? adapter = null, bool endsBlock = false)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(weight);
        Check(x, weight, bias, adapter);
        Tensor y = scope.New(x.Shape.With(-1, weight.OutDim));               // […, outDim]
        Tensor? down = null;                                                 // […, rank], s · dropout(x) · Aᵀ, kept for backward
        ulong key = 0;
        if (adapter is { } lora)
        {
            bool drops = lora.Dropout > 0f && scope.RecordsGradients;
            key = drops ? scope.Random.NextKey() : 0;
            lora = lora with { Dropout = drops ? lora.Dropout : 0f };
            adapter = lora;
            down = scope.New(x.Shape.With(-1, lora.A.Shape[0]));
            Down(scope, x, lora, key, down);
        }

        if (!endsBlock || !scope.ResultUnread)
        {
            Product(scope, x, weight, bias, down, adapter?.B, y);
        }

        if (scope.Tracks(y, x, bias, weight.Dense, weight.Scales, adapter?.A, adapter?.B))
        {
            Node node = scope.Record<Node>(y);
            (node.X, node.Weight, node.Bias, node.Adapter, node.Down, node.Key) = (x, weight, bias, adapter, down, key);
        }

        GC.KeepAlive(weight);
        return y;
    }

    /// <summary>y = x · Wᵀ + bias + down · Bᵀ, and what the weight's offsets add.</summary>
    private static void Product(ComputeScope scope, Tensor x, WeightMatrix weight, Tensor? bias, Tensor? down, Tensor? b, Tensor y)
    {
        IBackend backend = scope.Backend;
        if (down is not null && b is not null)
        {
            backend.QLoraProduct(x, weight, true, down, b, accumulate: false, y, scope.Precision);
        }
        else
        {
            backend.WeightMatMul(x, weight, transposeWeight: true, accumulate: false, y, scope.Precision);
        }

        if (weight.Offsets is { } offsets)
        {
            ComputeScope.Position mark = scope.Mark();
            Tensor sums = GroupPooling.Forward(scope, x, GroupSizeOf(weight, offsets), 1);      // [tokens, groups]
            backend.MatMul(sums, false, offsets, true, 1f, accumulate: true, Rows(scope, y), scope.Precision);
            scope.Rewind(mark);
        }

        if (bias is not null)
        {
            backend.LinearBias(bias, y);
        }
    }

    private static int GroupSizeOf(WeightMatrix weight, Tensor offsets) => (int)(weight.InDim / offsets.Shape[1]);

    /// <summary>down = s · pool(dropout(x)) · Aᵀ.</summary>
    private static void Down(ComputeScope scope, Tensor x, in LoraBranch lora, ulong key, Tensor down)
    {
        ComputeScope.Position mark = scope.Mark();
        Tensor input = Seen(scope, x, lora, key);                            // [tokens, inDim], or [tokens, groups]
        scope.Backend.MatMul(input, false, lora.A, true, lora.Scale, accumulate: false, Rows(scope, down), scope.Precision);
        scope.Rewind(mark);
    }

    /// <summary>pool(dropout(x)), what A is multiplied with.</summary>
    private static Tensor Seen(ComputeScope scope, Tensor x, in LoraBranch lora, ulong key)
    {
        Tensor dropped = Dropped(scope, x, lora, key);
        return lora.GroupSize == 0
            ? Rows(scope, dropped)
            : GroupPooling.Forward(scope, dropped, lora.GroupSize, LoraBranch.PoolingFactor(x.Shape.Columns, lora.GroupSize));
    }

    private static Tensor Dropped(ComputeScope scope, Tensor x, in LoraBranch lora, ulong key)
    {
        if (lora.Dropout == 0f)
        {
            return x;
        }

        Tensor dropped = scope.New(x.Shape);                                 // […, inDim]
        scope.Backend.DropoutForward(x, key, lora.Dropout, dropped);
        return dropped;
    }

    private static Tensor Rows(ComputeScope scope, Tensor tensor) =>
        scope.View(tensor, new Shape(tensor.Shape.Rows, tensor.Shape.Columns));

    private static void Check(Tensor x, WeightMatrix weight, Tensor? bias, LoraBranch? adapter)
    {
        if (x.Shape.Columns != weight.InDim)
        {
            throw new ArgumentException($"The weight is {weight} but the rows of x, {x.Shape}, have {x.Shape.Columns} elements.", nameof(x));
        }

        if (bias is not null && (bias.Shape.Count != weight.OutDim || bias.DataType != DataType.Float32))
        {
            throw new ArgumentException($"The bias is {bias}, the weight {weight} needs Float32[{weight.OutDim}].", nameof(bias));
        }

        if (adapter is not { } lora)
        {
            return;
        }

        if (lora.GroupSize < 0 || (lora.GroupSize > 0 && weight.InDim % lora.GroupSize != 0))
        {
            throw new ArgumentException($"The adapter's groups are of {lora.GroupSize} inputs, which do not divide the {weight.InDim} of the weight.", nameof(adapter));
        }

        (Shape a, Shape b) = (lora.A.Shape, lora.B.Shape);
        if (a.Rank != 2 || b.Rank != 2 || a[1] * Math.Max(1, lora.GroupSize) != weight.InDim || b[0] != weight.OutDim || a[0] != b[1])
        {
            throw new ArgumentException($"The adapter's A {a} and B {b} do not fit the weight {weight}: [rank, inDim / group] and [outDim, rank].", nameof(adapter));
        }

        if (lora.Dropout is not (>= 0f and < 1f))
        {
            throw new ArgumentException($"The adapter's dropout is {lora.Dropout}, allowed 0 to below 1.", nameof(adapter));
        }
    }

    private sealed class Node : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public WeightMatrix Weight { get; set; } = null!;

        public Tensor? Bias { get; set; }

        public LoraBranch? Adapter { get; set; }

        public Tensor? Down { get; set; }

        public ulong Key { get; set; }

        public override void Backward(ComputeScope scope)
        {
            IBackend backend = scope.Backend;
            GradientTarget dx = scope.GradTargetOf(X);
            if (scope.GradOf(Bias) is { } dBias)
            {
                backend.LinearBiasBackward(OutputGrad, dBias);
            }

            (Tensor? dWeight, Tensor? dScales) = (scope.GradOf(Weight.Dense), scope.GradOf(Weight.Scales));
            (Tensor? da, Tensor? db) = (scope.GradOf(Adapter?.A), scope.GradOf(Adapter?.B));

            // What follows is working memory of this node; the gradients above outlive it.
            ComputeScope.Position mark = scope.Mark();
            Tensor dy = Rows(scope, OutputGrad);                             // [tokens, outDim]
            if (dWeight is not null)
            {
                backend.MatMul(dy, true, Rows(scope, X), false, 1f, accumulate: true, dWeight, scope.Precision);
            }

            if (dScales is not null)
            {
                backend.ScaleGradient(dy, Rows(scope, X), Weight.Quantized!, dScales, scope.Precision);
            }

            if (Adapter is { } lora)
            {
                BackwardAdapter(scope, lora, dy, dx, da, db);
            }
            else if (dx.Tensor is { } plain)
            {
                backend.WeightMatMul(OutputGrad, Weight, transposeWeight: false, dx.Accumulate, plain, scope.Precision);
            }

            if (Weight.Offsets is { } offsets && dx.Tensor is { } gradient)
            {
                Tensor dSums = scope.New(new Shape(dy.Shape[0], offsets.Shape[1]));  // [tokens, groups]
                backend.MatMul(dy, false, offsets, false, 1f, accumulate: false, dSums, scope.Precision);
                GroupPooling.Backward(scope, dSums, GroupSizeOf(Weight, offsets), 1, gradient);
            }

            scope.Rewind(mark);
            GC.KeepAlive(Weight);
        }

        private void BackwardAdapter(ComputeScope scope, in LoraBranch lora, Tensor dy, GradientTarget dx, Tensor? da, Tensor? db)
        {
            IBackend backend = scope.Backend;
            if (db is not null)
            {
                backend.MatMul(dy, true, Rows(scope, Down!), false, 1f, accumulate: true, db, scope.Precision);
            }

            if (da is null && dx.Tensor is null)
            {
                return;
            }

            Tensor dDown = scope.New(new Shape(dy.Shape[0], lora.A.Shape[0]));       // [tokens, rank], with the factor s
            backend.MatMul(dy, false, lora.B, false, lora.Scale, accumulate: false, dDown, scope.Precision);
            if (da is not null)
            {
                Tensor input = Seen(scope, X, lora, Key);                            // [tokens, inDim], or [tokens, groups]; the mask of forward
                backend.MatMul(dDown, true, input, false, 1f, accumulate: true, da, scope.Precision);
            }

            if (dx.Tensor is not { } gradient)
            {
                return;
            }

            if (lora.Dropout == 0f && lora.GroupSize == 0)
            {
                backend.QLoraProduct(OutputGrad, Weight, false, dDown, lora.A, dx.Accumulate, gradient, scope.Precision);
                return;
            }

            backend.WeightMatMul(OutputGrad, Weight, transposeWeight: false, dx.Accumulate, gradient, scope.Precision);
            Tensor dSeen = scope.New(new Shape(dy.Shape[0], lora.A.Shape[1]));       // [tokens, inDim], or [tokens, groups]
            backend.MatMul(dDown, false, lora.A, false, 1f, accumulate: false, dSeen, scope.Precision);
            BackwardSeen(scope, lora, dSeen, gradient);
        }

        /// <summary>dx += the gradient through pool and dropout.</summary>
        private void BackwardSeen(ComputeScope scope, in LoraBranch lora, Tensor dSeen, Tensor gradient)
        {
            double factor = lora.GroupSize == 0 ? 1 : LoraBranch.PoolingFactor(X.Shape.Columns, lora.GroupSize);
            if (lora.Dropout == 0f)
            {
                GroupPooling.Backward(scope, dSeen, lora.GroupSize, factor, gradient);
                return;
            }

            Tensor dDropped = dSeen;                                                 // [tokens, inDim]
            if (lora.GroupSize > 0)
            {
                dDropped = scope.New(new Shape(dSeen.Shape[0], X.Shape.Columns));
                scope.Backend.Zero(dDropped);
                GroupPooling.Backward(scope, dSeen, lora.GroupSize, factor, dDropped);
            }

            scope.Backend.DropoutBackward(dDropped, Key, lora.Dropout, gradient);
        }
    }
}
