using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>Three sequences packed into a row must give what they give one by one, and what transformers gives.</summary>
public sealed class GoldenPackingTests : IDisposable
{
    private const int Sequences = 3;
    private readonly CpuBackend _backend = new(threads: 2);
    private readonly ModelFolder _folder = ModelFolder.Open(
        RepositoryPaths.Fixture("models", "llama-mha"), RepositoryPaths.Fixture("models", "lora", "llama-mha--lora"), trainable: true);

    private readonly GoldenTensors _golden = GoldenTensors.Read(RepositoryPaths.Fixture("models", "packing", "golden.safetensors"));
    private readonly GoldenTolerances _tolerances = GoldenTolerances.Read(RepositoryPaths.Fixture("models", "packing", "golden.json"));

    private LlamaModel Model => _folder.Model;

    public void Dispose()
    {
        _folder.Dispose();
        _backend.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Loss_GivenAPackedRow_ShouldMatchTransformersInLossAndGradients(bool checkpoint)
    {
        using ComputeScope scope = new(_backend, recordGradients: true);
        ModelInput input = Packed(scope) with { Checkpoint = checkpoint };
        Tensor loss = GoldenLoss(scope, input, "packed.labels");
        scope.Backward(loss);

        _tolerances.Check("loss", _tolerances.Root.GetProperty("loss").GetDouble(), loss.ToArray()[0]);
        CheckGradients();
    }

    [Fact]
    public void Loss_GivenSequencesOneByOne_ShouldMatchTransformersInLossAndGradients()
    {
        using ComputeScope scope = new(_backend, recordGradients: true);
        double sum = 0;
        for (int i = 0; i < Sequences; i++)
        {
            scope.Reset();
            Tensor loss = GoldenLoss(scope, ModelInput.Single(scope, _golden.Ints($"sequence.{i}.input_ids")), $"sequence.{i}.labels");
            scope.Backward(loss);
            sum += loss.ToArray()[0];
        }

        _tolerances.Check("loss", _tolerances.Root.GetProperty("loss").GetDouble(), sum);
        CheckGradients();
    }

    [Fact]
    public void Forward_GivenAPackedRow_ShouldMatchTransformersAndEachSequenceAlone()
    {
        using ComputeScope scope = new(_backend);
        float[] packed = Logits(scope, Packed(scope));
        _tolerances.Check("packed.logits", _golden.Floats("packed.logits"), packed);

        float[] alone = [.. Enumerable.Range(0, Sequences).SelectMany(i => Logits(scope, ModelInput.Single(scope, _golden.Ints($"sequence.{i}.input_ids"))))];
        _tolerances.Check("packed.logits", alone, packed);
    }

    [Fact]
    public void RotatedKeys_GivenAPackedRow_ShouldRestartPositions()
    {
        using ComputeScope scope = new(_backend);
        ModelInput input = Packed(scope);
        DecoderBlock block = Model.Blocks[0];
        LlamaConfig config = Model.Config;
        Tensor normed = RmsNorm.Forward(scope, Model.Embed(scope, input), block.InputNorm, (float)config.RmsNormEpsilon);
        (int seq, int heads, int dim) = ((int)input.Ids.Shape[1], config.KeyValueHeads, config.HeadDim);
        Tensor keys = Reshape.Forward(scope, block.Attention.Key.Forward(scope, normed), new Shape(1, seq, heads, dim));
        float[] rotated = RotaryEmbedding.Forward(scope, keys, input.Positions, Model.Context(input).Rotary).ToArray();

        float[] headsFirst = [.. Enumerable.Range(0, heads).SelectMany(head => Enumerable.Range(0, seq).SelectMany(at => rotated.AsSpan(((at * heads) + head) * dim, dim).ToArray()))];
        GoldenTolerances.Near(_tolerances.Of("packed.logits"), _golden.Floats("packed.block0.k_rope"), headsFirst, "packed.block0.k_rope");
    }

    private ModelInput Packed(ComputeScope scope)
    {
        Shape shape = new(_golden.Shape("packed.input_ids"));
        return new ModelInput(scope.From(_golden.Ints("packed.input_ids"), shape), scope.From(_golden.Ints("packed.position_ids"), shape))
        {
            Segments = scope.From(_golden.Ints("packed.segment_ids"), shape),
        };
    }

    /// <summary>The share of some labels in the mean over the supervised tokens of all three sequences.</summary>
    private Tensor GoldenLoss(ComputeScope scope, ModelInput input, string labels)
    {
        int supervised = _tolerances.Root.GetProperty("supervised_tokens_by_sequence").EnumerateArray().Sum(count => count.GetInt32());
        int[] targets = GoldenModel.Targets(_golden.Ints(labels), (int)input.Ids.Shape[1]);
        return Model.Loss(scope, input, scope.From(targets, input.Ids.Shape), supervised);
    }

    private float[] Logits(ComputeScope scope, ModelInput input) => Model.Logits(scope, Model.Forward(scope, input)).ToArray();

    private void CheckGradients() => Assert.All(Model.TrainableParameters, parameter =>
        _tolerances.Check("grad", _golden.Floats($"grad.base_model.model.{parameter.Name}"), parameter.Value.Grad!.ToArray(), parameter.Name));
}
