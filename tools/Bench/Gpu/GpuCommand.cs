using System.CommandLine;
using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><c>bench gpu</c>: tests and measures on a GPU, or makes a bundle that does it elsewhere.</summary>
internal static class GpuCommand
{
    public static Command Create()
    {
        Option<string?> bundle = new Option<string?>("--bundle")
        {
            Description = "Folder to write everything into that a machine with a GPU and its driver needs to run this; packed beside it as .tar.gz.",
        }.NotEmpty();
        Option<string> output = new Option<string>("--output") { Description = "Folder for results.json and results.md.", DefaultValueFactory = _ => "gpu-results" }.NotEmpty();
        Option<string?> only = new("--only") { Description = "Parts to run, with commas between: " + string.Join(", ", GpuPart.All.Select(part => part.Name)) + "." };
        Option<bool> quick = BenchOptions.Quick();
        Option<string> python = BenchOptions.Python();
        Option<bool> noPeers = BenchOptions.NoPeers();
        Option<string> device = new("--device") { Hidden = true, DefaultValueFactory = _ => "cuda" };
        Option<string?> part = new("--part") { Hidden = true };
        Command command = new("gpu", "Tests and measures on an NVIDIA GPU, within ten minutes, beside PyTorch where Python has it.")
        {
            bundle, output, only, quick, python, noPeers, device, part,
        };
        command.SetAction(result =>
        {
            if (result.GetValue(bundle) is { } folder)
            {
                return GpuBundle.Write(folder);
            }

            string where = result.GetValue(device)!;
            string? interpreter = result.GetValue(noPeers) ? null : result.GetValue(python);
            return result.GetValue(part) is { } name
                ? RunPart(Find(name), where, result.GetValue(quick), interpreter)
                : RunAll(Select(result.GetValue(only)), where, result.GetValue(output)!, result.GetValue(quick), interpreter);
        });
        return command;
    }

    private static GpuPart[] Select(string? names) => names is null ? [.. GpuPart.All] : [.. names.Split(',').Select(Find)];

    private static GpuPart Find(string name) => GpuPart.All.FirstOrDefault(part => part.Name == name)
        ?? throw new UserErrorException($"There is no part {name}, allowed {string.Join(", ", GpuPart.All.Select(part => part.Name))}.");

    /// <summary>One part, in this process; results go to standard output as they come.</summary>
    private static int RunPart(GpuPart part, string device, bool quick, string? python)
    {
        using GpuWork work = new(() => Open(device), quick, python, row => System.Console.WriteLine(GpuProcess.Line(row)));
        part.Run(work);
        return ToolProgram.Success;
    }

    private static int RunAll(IReadOnlyList<GpuPart> parts, string device, string folder, bool quick, string? python)
    {
        string gpu;
        using (IDeviceBackend backend = Open(device))
        {
            gpu = backend.Description;
        }

        Directory.CreateDirectory(folder);
        string driver = GpuDriver.Version;
        Report.Line($"{gpu}; driver {driver}");
        GpuResults results = new(folder, gpu, driver);
        string[] arguments = ["--device", device, .. quick ? ["--quick"] : Array.Empty<string>(), .. python is null ? ["--no-peers"] : new[] { "--python", python }];
        bool complete = true;
        foreach (GpuPart part in parts)
        {
            Report.Line($"{part.Name}: at most {part.Limit.TotalSeconds:F0} s");
            results.Begin(part);
            if (GpuProcess.Run(part, arguments, results.Add) is { } failure)
            {
                complete = false;
                results.Add(GpuRow.Note(failure));
                System.Console.Error.WriteLine($"{part.Name}: {failure}");
            }
        }

        System.Console.WriteLine();
        System.Console.Write(results.ToMarkdown());
        Report.Line($"results   {Path.Combine(folder, "results.json")}, results.md");
        return complete ? ToolProgram.Success : ToolProgram.Failure;
    }

    private static IDeviceBackend Open(string device) => DeviceChoice.Open(device, threads: 0).Device
        ?? throw new UserErrorException($"--device is {device}, which is no GPU; allowed cuda.");
}
