using System.CommandLine;
using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Training;

namespace PureQLora.Tools.Generate;

/// <summary>Streams the continuation of a prompt to standard output.</summary>
internal static class GenerateCommand
{
    private static readonly Option<string> Model = CommonOptions.Model();
    private static readonly Option<string?> Adapter = CommonOptions.Adapter();
    private static readonly Option<string> Prompt = new("--prompt") { Description = "Text to continue.", Required = true };
    private static readonly Option<int> MaxNewTokens = new("--max-new-tokens") { Description = "Tokens written at most.", DefaultValueFactory = _ => 256 };
    private static readonly Option<double> Temperature = new("--temperature") { Description = "0 takes the likeliest token; 1 samples from the model's own distribution.", DefaultValueFactory = _ => 0 };
    private static readonly Option<double> TopP = new("--top-p") { Description = "Sample from the likeliest tokens that hold this share of the probability.", DefaultValueFactory = _ => 1 };
    private static readonly Option<int> TopK = new("--top-k") { Description = "Sample from so many likeliest tokens; 0: all.", DefaultValueFactory = _ => 0 };
    private static readonly Option<double> MinP = new("--min-p") { Description = "Sample from tokens with at least this share of the likeliest one's probability.", DefaultValueFactory = _ => 0 };
    private static readonly Option<double> RepetitionPenalty = new("--repetition-penalty") { Description = "Above 1 makes tokens that were seen less likely.", DefaultValueFactory = _ => 1 };
    private static readonly Option<string[]> Stop = new("--stop") { Description = "Text at which generation stops; may be given several times." };
    private static readonly Option<ulong> Seed = new("--seed") { Description = "Chooses among samples.", DefaultValueFactory = _ => 0ul };
    private static readonly Option<int> Threads = CommonOptions.Threads();
    private static readonly Option<string> Device = CommonOptions.Device();
    private static readonly Option<Precision?> PrecisionOption = CommonOptions.PrecisionOption();

    public static RootCommand Create()
    {
        RootCommand command = new("Continues a prompt, streaming the text.")
        {
            Model, Adapter, Prompt, MaxNewTokens, Temperature, TopP, TopK, MinP, RepetitionPenalty, Stop, Seed, Threads, Device, PrecisionOption,
        };
        command.SetAction(Run);
        return command;
    }

    private static int Run(ParseResult result)
    {
        SamplingOptions options = new()
        {
            MaxNewTokens = result.GetValue(MaxNewTokens),
            Temperature = result.GetValue(Temperature),
            TopP = result.GetValue(TopP),
            TopK = result.GetValue(TopK),
            MinP = result.GetValue(MinP),
            RepetitionPenalty = result.GetValue(RepetitionPenalty),
            StopStrings = result.GetValue(Stop) ?? [],
            Seed = result.GetValue(Seed),
        };
        using DeviceChoice device = DeviceChoice.Open(result.GetValue(Device)!, result.GetValue(Threads));
        Precision precision = CommonOptions.PrecisionOf(device, result.GetValue(PrecisionOption));
        using ModelFolder folder = ModelFolder.Open(result.GetValue(Model)!, result.GetValue(Adapter));
        TextGenerator generator = new(folder, device.Backend) { Precision = precision };
        int[] prompt = generator.EncodePrompt(result.GetValue(Prompt)!);
        device.Require(planner => planner.Generation(
            BaseShape.Of(folder.Model), precision, 1, Math.Min(Math.Max(prompt.Length, 1) + options.MaxNewTokens, folder.Model.Config.MaxPositions + 1)));
        folder.Model.MoveTo(device.Backend);
        foreach (string piece in generator.Stream(prompt, options, ToolProgram.Cancellation))
        {
            System.Console.Out.Write(piece);
            System.Console.Out.Flush();
        }

        System.Console.Out.WriteLine();
        ToolProgram.Cancellation.ThrowIfCancellationRequested();
        return ToolProgram.Success;
    }
}
