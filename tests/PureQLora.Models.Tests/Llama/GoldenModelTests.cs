using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>Every golden model against float64 truth from transformers; tolerances are those of its golden.json.</summary>
public sealed class GoldenModelTests : IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);

    public static TheoryData<string> Models => ["llama-mha", "llama3-gqa", "llama-sharded", "mistral-sliding", "qwen2", "qwen3", "llama-bias", "llama-linear", "llama-yarn"];

    public void Dispose() => _backend.Dispose();

    [Theory]
    [MemberData(nameof(Models))]
    public void Forward_GivenAGoldenModel_ShouldMatchTransformers(string name)
    {
        using ModelFolder folder = ModelFolder.Open(RepositoryPaths.Fixture("models", name));
        GoldenTensors golden = GoldenTensors.Read(RepositoryPaths.Fixture("models", name, "golden.safetensors"));
        Tolerances tolerance = Tolerances.Of(name);
        using ComputeScope scope = new(_backend);
        ModelInput input = ModelInput.Rows(scope, golden.Ints("input_ids"), (int)golden.Shape("input_ids")[1]);
        BlockContext context = folder.Model.Context(input);

        Tensor x = folder.Model.Embed(scope, input);
        tolerance.Check("hidden.embed", golden, x);
        for (int layer = 0; layer < folder.Model.Blocks.Count; layer++)
        {
            x = folder.Model.Blocks[layer].Forward(scope, x, context);
            tolerance.Check($"hidden.block.{layer}", golden, x);
        }

        Tensor hidden = folder.Model.Forward(scope, input);
        tolerance.Check("hidden.norm", golden, hidden);
        tolerance.Check("logits", golden, folder.Model.Logits(scope, hidden));
    }

    private sealed class Tolerances(JsonElement values)
    {
        public static Tolerances Of(string name)
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllText(RepositoryPaths.Fixture("models", name, "golden.json")));
            return new Tolerances(document.RootElement.GetProperty("tolerance").Clone());
        }

        public void Check(string key, GoldenTensors golden, Tensor actual)
        {
            double tolerance = values.GetProperty(key).GetDouble();
            float[] expected = golden.Floats(key);
            float[] actualValues = actual.ToArray();
            Assert.Equal(expected.Length, actualValues.Length);
            double worst = expected.Zip(actualValues, (e, a) => Math.Abs((double)e - a)).Max();
            Assert.True(worst <= tolerance, $"{key}: off by {worst:E2}, allowed {tolerance:E2}");
        }
    }
}
