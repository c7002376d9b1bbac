using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>One layer of the decoder: x + attention(norm(x)), then x + feedForward(norm(x)).</summary>
public sealed class DecoderBlock
{
    /// <summary>
    /// Tokens that pass through the feed-forward network of a checkpointed block at a time. Its tensors, nearly three times as wide as the
    /// hidden state, are the most that a step holds at once; each turn unpacks its weights anew.
    /// </summary>
    private const int TokensAtOnce = 512;

    private readonly float _epsilon;

    internal DecoderBlock(SelfAttention attention, FeedForward feedForward, Tensor inputNorm, Tensor postAttentionNorm, float epsilon)
    {
        (Attention, FeedForward) = (attention, feedForward);
        (InputNorm, PostAttentionNorm, _epsilon) = (inputNorm, postAttentionNorm, epsilon);
    }

    /// <summary>self_attn.</summary>
    public SelfAttention Attention { get; }

    /// <summary>mlp.</summary>
    public FeedForward FeedForward { get; }

    /// <summary>input_layernorm, [hidden].</summary>
    public Tensor InputNorm { get; internal set; }

    /// <summary>post_attention_layernorm, [hidden].</summary>
    public Tensor PostAttentionNorm { get; internal set; }

    /// <summary>The seven linear layers in the order of the data flow: q, k, v, o, gate, up, down.</summary>
    public IEnumerable<LinearLayer> Linears =>
        [Attention.Query, Attention.Key, Attention.Value, Attention.Output, FeedForward.Gate, FeedForward.Up, FeedForward.Down];

    /// <summary>Applies the block.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">[batch, seq, hidden]</param>
    /// <param name="context">Positions, segments, cache.</param>
    public Tensor Forward(ComputeScope scope, Tensor x, BlockContext context) => AddFeedForward(scope, Attend(scope, x, context), endsBlock: false);

    /// <summary>
    /// Applies the block as all that a <see cref="Checkpoint"/> runs: with less memory, and without its last product in the second run.
    /// </summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">[batch, seq, hidden]</param>
    /// <param name="context">Positions, segments, cache.</param>
    internal Tensor ForwardAlone(ComputeScope scope, Tensor x, BlockContext context) => Checkpoint.ForwardRows(
        scope,
        Attend(scope, x, context),
        this,
        static (scope, attended, block) => block.AddFeedForward(scope, attended, endsBlock: true),
        TokensAtOnce,
        endsBlock: true);

    /// <summary>What q, k and v take. [batch, seq, hidden]</summary>
    internal Tensor AttentionInput(ComputeScope scope, Tensor x) => RmsNorm.Forward(scope, x, InputNorm, _epsilon);

    /// <summary>The hidden state after attention, from what o_proj takes. [batch, seq, hidden]</summary>
    internal Tensor AddAttention(ComputeScope scope, Tensor x, Tensor mixed) => Binary.Add(scope, x, Attention.Output.Forward(scope, mixed));

    /// <summary>What gate and up take, from the hidden state after attention. [batch, seq, hidden]</summary>
    internal Tensor FeedForwardInput(ComputeScope scope, Tensor attended) => RmsNorm.Forward(scope, attended, PostAttentionNorm, _epsilon);

    /// <summary>The block's output, from the hidden state after attention and what down_proj takes. [batch, seq, hidden]</summary>
    internal Tensor AddFeedForward(ComputeScope scope, Tensor attended, Tensor gated) => Binary.Add(scope, attended, FeedForward.Down.Forward(scope, gated));

    /// <summary>Takes norms and linear layers into a backend's memory.</summary>
    internal void MoveTo(IBackend backend)
    {
        (InputNorm, PostAttentionNorm) = (InputNorm.To(backend), PostAttentionNorm.To(backend));
        (Attention.QueryNorm, Attention.KeyNorm) = (Attention.QueryNorm?.To(backend), Attention.KeyNorm?.To(backend));
        foreach (LinearLayer linear in Linears)
        {
            linear.MoveTo(backend);
        }
    }

    private Tensor AddFeedForward(ComputeScope scope, Tensor attended, bool endsBlock) => Binary.Add(
        scope, attended, FeedForward.Forward(scope, RmsNorm.Forward(scope, attended, PostAttentionNorm, _epsilon), endsBlock), endsBlock);

    private Tensor Attend(ComputeScope scope, Tensor x, BlockContext context) =>
        Binary.Add(scope, x, Attention.Forward(scope, RmsNorm.Forward(scope, x, InputNorm, _epsilon), context));
}
