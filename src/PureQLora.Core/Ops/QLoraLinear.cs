namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="QLoraLinear"/> besides <see cref="IMatMulKernels"/>.</summary>
public interface IQLoraLinearKernels
{
    /// <summary>y = or += x · op(W): with the weight transposed y = x·Wᵀ (forward), else y = x·W (input gradient).</summary>
    /// <param name="x">[…, inDim] if transposed, else […, outDim].</param>
    /// <param name="weight">[outDim, inDim], dense of any floating type or quantised.</param>
    /// <param name="transposeWeight">Forward or input gradient.</param>
    /// <param name="accumulate">Add to y instead of overwriting it.</param>
    /// <param name="y">[…, outDim] if transposed, else […, inDim].</param>
    /// <param name="precision">Rounding of the operands.</param>
    void WeightMatMul(Tensor x, WeightMatrix weight, bool transposeWeight, bool accumulate, Tensor y, Precision precision);

    /// <summary>Every row of y becomes the bias.</summary>
    /// <param name="bias">[width]</param>
    /// <param name="y">[…, width]</param>
    void FillRows(Tensor bias, Tensor y);

    /// <summary>sum += Σ over rows of x, in float32 partial sums of a fixed number of rows.</summary>
    /// <param name="x">[…, width]</param>
    /// <param name="sum">[width]</param>
    void AddRowSums(Tensor x, Tensor sum);

    /// <summary>y = or += x · mask / (1 − probability); element i is kept iff <see cref="RandomState.Uniform"/>(key, i) ≥ probability.</summary>
    void Dropout(Tensor x, ulong key, float probability, bool accumulate, Tensor y);
}

/// <summary>Linear layer with an optional low-rank adapter: y = x·Wᵀ + bias + s·(dropout(x)·Aᵀ)·Bᵀ; W may be quantised and is then frozen.</summary>
/// <remarks>LoRA: Hu et al., arXiv:2106.09685, eq. 3. QLoRA: Dettmers et al., arXiv:2305.14314, eq. 5.</remarks>
public static class QLoraLinear
{
    /// <summary>Applies the layer to every row.</summary>
    /// <param name="scope">The pass; dropout happens only while it records.</param>
    /// <param name="x">[…, inDim]</param>
    /// <param name="weight">[outDim, inDim]</param>
    /// <param name="bias">Float32 [outDim], or null.</param>
    /// <param name="adapter">The branch, or null.</param>
    /// <returns>[…, outDim]</returns>
    /// <exception cref="ArgumentException">The shapes do not fit.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor x, WeightMatrix weight, Tensor? bias = null, LoraBranch? adapter = null)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(weight);
        Check(x, weight, bias, adapter);
        Tensor y = scope.New(x.Shape.With(-1, weight.OutDim));
        if (bias is not null)
        {
            scope.Backend.FillRows(bias, y);
        }

        scope.Backend.WeightMatMul(x, weight, transposeWeight: true, accumulate: bias is not null, y, scope.Precision);
        (Tensor? down, ulong key) = (null, 0);
        float dropout = scope.RecordsGradients ? adapter?.Dropout ?? 0f : 0f;
        if (adapter is { } branch)
        {
            key = dropout > 0 ? scope.Random.NextKey() : 0;
            down = scope.New(x.Shape.With(-1, branch.A.Shape[0]));               // […, rank]
            scope.Backend.MatMul(Rows(scope, Dropped(scope, x, key, dropout)), false, branch.A, true, 1f, false, Rows(scope, down), scope.Precision);
            scope.Backend.MatMul(Rows(scope, down), false, branch.B, true, branch.Scale, true, Rows(scope, y), scope.Precision);
        }

        if (scope.Tracks(y, x, weight.Dense, bias, adapter?.A, adapter?.B))
        {
            Node node = scope.Record<Node>(y);
            (node.X, node.Weight, node.Bias, node.Adapter, node.Down, node.Key, node.DropoutProbability) = (x, weight, bias, adapter, down, key, dropout);
        }

        return y;
    }

    private static void Check(Tensor x, WeightMatrix weight, Tensor? bias, LoraBranch? adapter)
    {
        if (x.Shape.Columns != weight.InDim)
        {
            throw new ArgumentException($"x is {x.Shape} but the weight, {weight}, takes {weight.InDim} features.", nameof(x));
        }

        if (bias is not null && bias.Shape.Count != weight.OutDim)
        {
            throw new ArgumentException($"The bias is {bias.Shape} but the weight, {weight}, gives {weight.OutDim} features.", nameof(bias));
        }

        if (adapter is { } branch && (branch.A.Shape[-1] != weight.InDim || branch.B.Shape[0] != weight.OutDim || branch.A.Shape[0] != branch.B.Shape[-1]))
        {
            throw new ArgumentException($"lora_A is {branch.A.Shape} and lora_B is {branch.B.Shape}; a weight {weight} needs [rank, {weight.InDim}] and [{weight.OutDim}, rank].", nameof(adapter));
        }
    }

    private static Tensor Rows(ComputeScope scope, Tensor x) => x.Shape.Rank == 2 ? x : scope.View(x, new Shape(x.Shape.Rows, x.Shape.Columns));

    private static Tensor Dropped(ComputeScope scope, Tensor x, ulong key, float probability)
    {
        if (probability == 0)
        {
            return x;
        }

        Tensor dropped = scope.New(x.Shape);
        scope.Backend.Dropout(x, key, probability, accumulate: false, dropped);
        return dropped;
    }

    private sealed class Node : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public WeightMatrix Weight { get; set; } = null!;

        public Tensor? Bias { get; set; }

        public LoraBranch? Adapter { get; set; }

        public Tensor? Down { get; set; }

        public ulong Key { get; set; }

        public float DropoutProbability { get; set; }

        public override void Backward(ComputeScope scope)
        {
            IBackend backend = scope.Backend;
            Tensor dy = Rows(scope, OutputGrad);                                 // [rows, outDim]
            if (scope.GradOf(Bias) is { } dBias)
            {
                backend.AddRowSums(dy, dBias);
            }

            if (scope.GradOf(Weight.Dense) is { } dWeight)
            {
                backend.MatMul(dy, true, Rows(scope, X), false, 1f, true, dWeight, scope.Precision);
            }

            if (Adapter is { } branch)
            {
                BackwardBranch(scope, branch, dy);
            }

            if (scope.GradOf(X) is { } dx)
            {
                backend.WeightMatMul(OutputGrad, Weight, transposeWeight: false, accumulate: true, dx, scope.Precision);
            }
        }

        private void BackwardBranch(ComputeScope scope, LoraBranch branch, Tensor dy)
        {
            IBackend backend = scope.Backend;
            Tensor down = Rows(scope, Down!);                                    // [rows, rank]
            if (scope.GradOf(branch.B) is { } db)
            {
                backend.MatMul(dy, true, down, false, branch.Scale, true, db, scope.Precision);
            }

            Tensor dDown = scope.New(down.Shape);                                // s · dy · B
            backend.MatMul(dy, false, branch.B, false, branch.Scale, false, dDown, scope.Precision);
            if (scope.GradOf(branch.A) is { } da)
            {
                Tensor input = Rows(scope, Dropped(scope, X, Key, DropoutProbability));
                backend.MatMul(dDown, true, input, false, 1f, true, da, scope.Precision);
            }

            if (scope.GradOf(X) is not { } dx)
            {
                return;
            }

            if (DropoutProbability == 0)
            {
                backend.MatMul(dDown, false, branch.A, false, 1f, true, Rows(scope, dx), scope.Precision);
                return;
            }

            Tensor dDropped = scope.New(X.Shape);
            backend.MatMul(dDown, false, branch.A, false, 1f, false, Rows(scope, dDropped), scope.Precision);
            backend.Dropout(dDropped, Key, DropoutProbability, accumulate: true, dx);
        }
    }
}
