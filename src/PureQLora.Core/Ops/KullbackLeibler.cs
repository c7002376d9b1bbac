namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="KullbackLeibler"/> besides products with the heads and <see cref="ICrossEntropyKernels.CrossEntropySum"/>.</summary>
public interface IKullbackLeiblerKernels
{
    /// <summary>
    /// divergences(start + i) = Σ_v p(v) · (log p(v) − log q(v)) with p = softmax(targets(i)) and q = softmax(logits(i)); in place,
    /// logits(i, v) becomes (q(v) − p(v)) / normalizer.
    /// </summary>
    /// <param name="logits">[chunk, vocabulary]</param>
    /// <param name="targets">[chunk, vocabulary]; undefined afterwards.</param>
    /// <param name="start">First token of the chunk.</param>
    /// <param name="normalizer">Divides the gradient.</param>
    /// <param name="divergences">[tokens]</param>
    void KullbackLeiblerForwardBackward(Tensor logits, Tensor targets, long start, float normalizer, Tensor divergences);
}

/// <summary>
/// Kullback-Leibler divergence of a model's predictions from a teacher's, whose logits are soft targets. Both logits exist for a chunk of
/// tokens at a time, and never again: loss and gradient come out of one pass over the chunks.
/// </summary>
/// <remarks>Hinton et al., arXiv:1503.02531, section 2, with a temperature of 1; constant entropy of the teacher included, so that equals give 0.</remarks>
public static class KullbackLeibler
{
    /// <summary>Bytes of one model's logits that exist at once.</summary>
    private const long LogitsBudget = 32L << 20;

    /// <summary>A chunk is never smaller: each one reads both heads whole.</summary>
    private const long SmallestChunk = 64;

    /// <summary>loss = Σ_t D(p_t ‖ q_t) / normalizer with p = softmax(teacher · teacherHeadᵀ) and q = softmax(hidden · headᵀ).</summary>
    /// <param name="scope">The pass; its precision rounds the operands of the products.</param>
    /// <param name="hidden">[tokens, hiddenSize], Float32: final hidden states; the gradient flows into them alone.</param>
    /// <param name="head">[vocabulary, hiddenSize], frozen.</param>
    /// <param name="teacher">[tokens, teacherSize], Float32: the teacher's final hidden states of the same tokens.</param>
    /// <param name="teacherHead">[vocabulary, teacherSize], frozen.</param>
    /// <param name="normalizer">Number of tokens of the whole batch; above 0.</param>
    /// <returns>[1], in nats.</returns>
    /// <exception cref="ArgumentException">The shapes do not fit, or a head is trained.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The normalizer is not above 0.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor hidden, WeightMatrix head, Tensor teacher, WeightMatrix teacherHead, float normalizer)
    {
        Check(scope, hidden, head, teacher, teacherHead, normalizer);
        IBackend backend = scope.Backend;
        Tensor loss = scope.New(new Shape(1));
        bool tracks = scope.Tracks(loss, hidden);
        Tensor? dHidden = tracks ? scope.New(hidden.Shape) : null;           // [tokens, hiddenSize], for a loss with gradient 1
        long tokens = hidden.Shape.Rows;
        long chunk = Math.Max(SmallestChunk, LogitsBudget / sizeof(float) / head.OutDim);
        ComputeScope.Position outer = scope.Mark();
        Tensor divergences = scope.New(new Shape(tokens));                   // [tokens]
        ComputeScope.Position inner = scope.Mark();
        for (long start = 0; start < tokens; start += chunk)
        {
            long count = Math.Min(chunk, tokens - start);
            Tensor logits = Logits(scope, hidden, head, start, count);       // [chunk, vocabulary]
            Tensor targets = Logits(scope, teacher, teacherHead, start, count);
            backend.KullbackLeiblerForwardBackward(logits, targets, start, normalizer, divergences);
            if (dHidden is not null)
            {
                backend.WeightMatMul(logits, head, transposeWeight: false, accumulate: false, Rows(scope, dHidden, start, count), scope.Precision);
            }

            scope.Rewind(inner);
        }

        backend.CrossEntropySum(divergences, normalizer, loss);
        scope.Rewind(outer);
        if (dHidden is not null)
        {
            Node node = scope.Record<Node>(loss);
            (node.Hidden, node.HiddenGrad) = (hidden, dHidden);
        }

        GC.KeepAlive(head);
        GC.KeepAlive(teacherHead);
        return loss;
    }

    private static Tensor Logits(ComputeScope scope, Tensor hidden, WeightMatrix head, long start, long count)
    {
        Tensor logits = scope.New(new Shape(count, head.OutDim));
        scope.Backend.WeightMatMul(Rows(scope, hidden, start, count), head, transposeWeight: true, accumulate: false, logits, scope.Precision);
        return logits;
    }

    private static Tensor Rows(ComputeScope scope, Tensor tensor, long start, long count) =>
        scope.ViewRows(scope.View(tensor, new Shape(tensor.Shape.Rows, tensor.Shape.Columns)), start, count);

    private static void Check(ComputeScope scope, Tensor hidden, WeightMatrix head, Tensor teacher, WeightMatrix teacherHead, float normalizer)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(hidden);
        ArgumentNullException.ThrowIfNull(head);
        ArgumentNullException.ThrowIfNull(teacher);
        ArgumentNullException.ThrowIfNull(teacherHead);
        if (!(normalizer > 0f) || !float.IsFinite(normalizer))
        {
            throw new ArgumentOutOfRangeException(nameof(normalizer), normalizer, "The divergence is divided by the number of tokens, which is above 0.");
        }

        if (hidden.Shape.Columns != head.InDim || teacher.Shape.Columns != teacherHead.InDim)
        {
            throw new ArgumentException($"The hidden states {hidden.Shape} and {teacher.Shape} do not fit the heads {head} and {teacherHead}.", nameof(hidden));
        }

        if (hidden.Shape.Rows != teacher.Shape.Rows || head.OutDim != teacherHead.OutDim)
        {
            throw new ArgumentException(
                $"The hidden states {hidden.Shape} with the head {head} and the teacher's {teacher.Shape} with {teacherHead} predict other tokens or another vocabulary.", nameof(teacher));
        }

        if (head.Dense is { RequiresGrad: true } || head.Scales is not null)
        {
            throw new ArgumentException($"The head {head} is trained; this loss gives gradients to the hidden states only.", nameof(head));
        }
    }

    /// <summary>The gradient was computed with the loss; backward scales it.</summary>
    private sealed class Node : TapeNode
    {
        public Tensor Hidden { get; set; } = null!;

        public Tensor HiddenGrad { get; set; } = null!;

        public override void Backward(ComputeScope scope)
        {
            scope.Backend.BinaryForward(BinaryKind.Multiply, HiddenGrad, OutputGrad, HiddenGrad);
            scope.HandOnGrad(HiddenGrad, Hidden);
        }
    }
}
