using System.CommandLine;
using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Tools;

Option<string> model = CommonOptions.Model();
Option<string?> adapter = CommonOptions.Adapter();
Option<string> prompt = new("--prompt") { Description = "Text to continue.", Required = true };
Option<int> maxNewTokens = new("--max-new-tokens") { Description = "Tokens written at most.", DefaultValueFactory = _ => 256 };
Option<float> temperature = new("--temperature") { Description = "0 takes the likeliest token; 1 samples from the model's own distribution.", DefaultValueFactory = _ => 0f };
Option<float> topP = new("--top-p") { Description = "Sample from the likeliest tokens that hold this share of the probability.", DefaultValueFactory = _ => 1f };
Option<int> topK = new("--top-k") { Description = "Sample from so many likeliest tokens; 0: all.", DefaultValueFactory = _ => 0 };
Option<float> minP = new("--min-p") { Description = "Sample from tokens with at least this share of the likeliest one's probability.", DefaultValueFactory = _ => 0f };
Option<float> repetitionPenalty = new("--repetition-penalty") { Description = "Above 1 makes tokens that were seen less likely.", DefaultValueFactory = _ => 1f };
Option<string[]> stop = new("--stop") { Description = "Text at which generation stops; may be given several times." };
Option<ulong> seed = new("--seed") { Description = "Chooses among samples.", DefaultValueFactory = _ => 0ul };
Option<int> threads = CommonOptions.Threads();
Option<string> device = CommonOptions.Device();
Option<Precision> precision = CommonOptions.PrecisionOption();
RootCommand root = new("Continues a prompt, streaming the text.")
{
    model, adapter, prompt, maxNewTokens, temperature, topP, topK, minP, repetitionPenalty, stop, seed, threads, device, precision,
};
root.SetAction(result =>
{
    SamplingOptions options = new()
    {
        MaxNewTokens = result.GetValue(maxNewTokens),
        Temperature = result.GetValue(temperature),
        TopP = result.GetValue(topP),
        TopK = result.GetValue(topK),
        MinP = result.GetValue(minP),
        RepetitionPenalty = result.GetValue(repetitionPenalty),
        StopStrings = result.GetValue(stop) ?? [],
        Seed = result.GetValue(seed),
    };
    using CpuBackend backend = CommonOptions.CreateBackend(result.GetValue(device)!, result.GetValue(threads));
    using ModelFolder folder = ModelFolder.Open(result.GetValue(model)!, result.GetValue(adapter));
    TextGenerator generator = new(folder.Model, folder.Tokenizer, backend) { Precision = result.GetValue(precision) };
    foreach (string piece in generator.Stream(result.GetValue(prompt)!, options, ToolProgram.Cancellation))
    {
        System.Console.Out.Write(piece);
        System.Console.Out.Flush();
    }

    System.Console.Out.WriteLine();
    ToolProgram.Cancellation.ThrowIfCancellationRequested();
    return ToolProgram.Success;
});
return ToolProgram.Run(root, args);
