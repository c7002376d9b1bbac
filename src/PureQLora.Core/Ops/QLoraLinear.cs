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
}

/// <summary>
/// A linear layer over a dense or quantised weight with an optional low-rank adapter:
/// y = x · Wᵀ + bias + s · (dropout(x) · Aᵀ) · Bᵀ.
/// </summary>
/// <remarks>
/// Dettmers et al., arXiv:2305.14314, eq. 5. A quantised weight is frozen and is dequantised inside the product, never as a whole.
/// Dropout acts on the adapter's input only, and only in a pass that records gradients.
/// </remarks>
public static class QLoraLinear
{
    /// <summary>Applies the layer to every row of x.</summary>
    /// <param name="scope">The pass; its precision rounds the operands of all products, its random state chooses the dropout mask.</param>
    /// <param name="x">[…, inDim], Float32.</param>
    /// <param name="weight">[outDim, inDim]</param>
    /// <param name="bias">[outDim], Float32, or null.</param>
    /// <param name="adapter">The low-rank branch, or null.</param>
    /// <returns>[…, outDim]</returns>
    /// <exception cref="ArgumentException">The shapes do not fit, or the dropout is not in [0, 1).</exception>
    public static Tensor Forward(ComputeScope scope, Tensor x, WeightMatrix weight, Tensor? bias = null, LoraBranch? adapter = null)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(weight);
        Check(x, weight, bias, adapter);
        IBackend backend = scope.Backend;
        Tensor y = scope.New(x.Shape.With(-1, weight.OutDim));               // […, outDim]
        backend.WeightMatMul(x, weight, transposeWeight: true, accumulate: false, y, scope.Precision);
        if (bias is not null)
        {
            backend.LinearBias(bias, y);
        }

        Tensor? down = null;                                                 // […, rank], kept for backward
        ulong key = 0;
        if (adapter is { } lora)
        {
            bool drops = lora.Dropout > 0f && scope.RecordsGradients;
            key = drops ? scope.Random.NextKey() : 0;
            lora = lora with { Dropout = drops ? lora.Dropout : 0f };
            adapter = lora;
            down = scope.New(x.Shape.With(-1, lora.A.Shape[0]));
            Adapt(scope, x, lora, key, down, y);
        }

        if (scope.Tracks(y, x, bias, weight.Dense, adapter?.A, adapter?.B))
        {
            Node node = scope.Record<Node>(y);
            (node.X, node.Weight, node.Bias, node.Adapter, node.Down, node.Key) = (x, weight, bias, adapter, down, key);
        }

        GC.KeepAlive(weight);
        return y;
    }

    /// <summary>down = dropout(x) · Aᵀ; y += s · down · Bᵀ.</summary>
    private static void Adapt(ComputeScope scope, Tensor x, in LoraBranch lora, ulong key, Tensor down, Tensor y)
    {
        ComputeScope.Position mark = scope.Mark();
        Tensor input = Rows(scope, Dropped(scope, x, lora, key));            // [tokens, inDim]
        Tensor low = Rows(scope, down);                                      // [tokens, rank]
        scope.Backend.MatMul(input, false, lora.A, true, 1f, accumulate: false, low, scope.Precision);
        scope.Backend.MatMul(low, false, lora.B, true, lora.Scale, accumulate: true, Rows(scope, y), scope.Precision);
        scope.Rewind(mark);
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

        (Shape a, Shape b) = (lora.A.Shape, lora.B.Shape);
        if (a.Rank != 2 || b.Rank != 2 || a[1] != weight.InDim || b[0] != weight.OutDim || a[0] != b[1])
        {
            throw new ArgumentException($"The adapter's A {a} and B {b} do not fit the weight {weight}: [rank, inDim] and [outDim, rank].", nameof(adapter));
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
            Tensor? dx = scope.GradOf(X);
            if (scope.GradOf(Bias) is { } dBias)
            {
                backend.LinearBiasBackward(OutputGrad, dBias);
            }

            if (dx is not null)
            {
                backend.WeightMatMul(OutputGrad, Weight, transposeWeight: false, accumulate: true, dx, scope.Precision);
            }

            Tensor? dWeight = scope.GradOf(Weight.Dense);
            (Tensor? da, Tensor? db) = (scope.GradOf(Adapter?.A), scope.GradOf(Adapter?.B));

            // What follows is working memory of this node; the gradients above outlive it.
            ComputeScope.Position mark = scope.Mark();
            Tensor dy = Rows(scope, OutputGrad);                             // [tokens, outDim]
            if (dWeight is not null)
            {
                backend.MatMul(dy, true, Rows(scope, X), false, 1f, accumulate: true, dWeight, scope.Precision);
            }

            if (Adapter is { } lora)
            {
                BackwardAdapter(scope, lora, dy, dx, da, db);
            }

            scope.Rewind(mark);
            GC.KeepAlive(Weight);
        }

        private void BackwardAdapter(ComputeScope scope, in LoraBranch lora, Tensor dy, Tensor? dx, Tensor? da, Tensor? db)
        {
            IBackend backend = scope.Backend;
            if (db is not null)
            {
                backend.MatMul(dy, true, Rows(scope, Down!), false, lora.Scale, accumulate: true, db, scope.Precision);
            }

            if (da is null && dx is null)
            {
                return;
            }

            Tensor dDown = scope.New(new Shape(dy.Shape[0], lora.A.Shape[0]));       // [tokens, rank]
            backend.MatMul(dy, false, lora.B, false, lora.Scale, accumulate: false, dDown, scope.Precision);
            if (da is not null)
            {
                Tensor input = Rows(scope, Dropped(scope, X, lora, Key));            // [tokens, inDim], the mask of forward
                backend.MatMul(dDown, true, input, false, 1f, accumulate: true, da, scope.Precision);
            }

            if (dx is null)
            {
                return;
            }

            if (lora.Dropout == 0f)
            {
                backend.MatMul(dDown, false, lora.A, false, 1f, accumulate: true, Rows(scope, dx), scope.Precision);
                return;
            }

            Tensor dInput = scope.New(new Shape(dy.Shape[0], lora.A.Shape[1]));      // [tokens, inDim]
            backend.MatMul(dDown, false, lora.A, false, 1f, accumulate: false, dInput, scope.Precision);
            backend.DropoutBackward(dInput, Key, lora.Dropout, dx);
        }
    }
}
