using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>A golden model opened, with its reference values.</summary>
internal sealed class GoldenModel : IDisposable
{
    private readonly ModelFolder _folder;

    public GoldenModel(string name)
    {
        _folder = ModelFolder.Open(RepositoryPaths.Fixture("models", name));
        Values = GoldenTensors.Read(RepositoryPaths.Fixture("models", name, "golden.safetensors"));
        Tolerances = GoldenTolerances.Read(RepositoryPaths.Fixture("models", name, "golden.json"));
    }

    public static string[] Names =>
        ["llama-mha", "llama3-gqa", "llama-sharded", "mistral-sliding", "qwen2", "qwen3", "llama-bias", "llama-linear", "llama-yarn"];

    public LlamaModel Model => _folder.Model;

    public GoldenTensors Values { get; }

    public GoldenTolerances Tolerances { get; }

    /// <summary>input_ids as rows at positions 0, 1, 2, …</summary>
    public ModelInput Input(ComputeScope scope) => ModelInput.Rows(scope, Values.Ints("input_ids"), (int)Values.Shape("input_ids")[1]);

    /// <summary>The mean loss of input_ids against labels.</summary>
    public Tensor Loss(ComputeScope scope, bool checkpoint = false) => Loss(Model, scope, Values, Input(scope) with { Checkpoint = checkpoint });

    /// <summary>The mean loss of golden inputs against labels, on any model.</summary>
    public static Tensor Loss(LlamaModel model, ComputeScope scope, GoldenTensors golden, ModelInput input)
    {
        int[] targets = Targets(golden.Ints("labels"), (int)golden.Shape("labels")[1]);
        return model.Loss(scope, input, scope.From(targets, input.Ids.Shape), targets.Count(target => target != CrossEntropy.Ignored));
    }

    /// <summary>What each position must predict: the label of the position behind it in its row.</summary>
    public static int[] Targets(int[] labels, int seq) =>
        [.. Enumerable.Range(0, labels.Length).Select(at => (at + 1) % seq == 0 ? CrossEntropy.Ignored : labels[at + 1])];

    public void Dispose() => _folder.Dispose();
}
